"""Untrusted ZIP archives: what is refused before unpacking, and at what cost."""

from __future__ import annotations

import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from tmsa_core.editing import archives
from tmsa_core.editing.archives import count_entries, read_entries, safe_name
from tmsa_core.errors import ImageError, RequestError

PEAK = """
import resource, sys
from pathlib import Path
from tmsa_core.editing.archives import read_entries
from tmsa_core.errors import TmsaError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for entry in read_entries([Path(sys.argv[1])]):
        print(entry.content if isinstance(entry.content, TmsaError) else len(entry.content))
except TmsaError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime)
"""


def read_apart(source: Path) -> tuple[str, int, float]:
    """Read an archive in its own process: the output, its growth in KB, and its CPU seconds."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(source)], capture_output=True, text=True, check=True
    )
    *said, grown, seconds = done.stdout.splitlines()
    return "\n".join(said), int(grown), float(seconds)


def packed_zeros(path: Path, packing: int, size: int) -> Path:
    """An archive of one member of zeros."""
    with (
        zipfile.ZipFile(path, "w", packing) as archive,
        archive.open("a.png", "w", force_zip64=True) as member,
    ):
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("size", [32 << 20, 300 << 20])
def test_unbounded_compression_methods_are_not_unpacked(
    tmp_path: Path, packing: int, size: int
) -> None:
    source = packed_zeros(tmp_path / "bomb.zip", packing, size)
    data = bytearray(source.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    if size > 64 << 20:  # it states to hold little, as an attacker would
        data[at : at + 4] = struct.pack("<I", 1000)
        source.write_bytes(data)
    said, grown, seconds = read_apart(source)
    assert "packed in an unusual way" in said
    assert grown < 20_000 and seconds < 10  # KB; most of the time goes into imports


def overlapping(path: Path, count: int, size: int) -> Path:
    """Members that share one packed content, each a header before the next (as in public bombs)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = packer.compress(bytes(size)) + packer.flush()
    crc = zlib.crc32(bytes(size))
    body, table, offsets = bytearray(), bytearray(), []
    for number in range(count):
        name = f"{number:04d}.png".encode()
        offsets.append(len(body))
        sizes = (crc, len(kernel), size, len(name), 0)
        body += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, *sizes) + name
    body += kernel
    for number, offset in enumerate(offsets):
        name = f"{number:04d}.png".encode()
        fields = (20, 20, 0, 8, 0, 33, crc, len(kernel), size, len(name), 0, 0, 0, 0, 0, offset)
        table += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", *fields) + name
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(table), len(body), 0)
    path.write_bytes(body + table + end)
    return path


def test_overlapping_members_are_refused_before_unpacking(tmp_path: Path) -> None:
    source = overlapping(tmp_path / "bomb.zip", count=900, size=60 << 20)
    assert source.stat().st_size < 150_000 and count_overlap_bytes(source) > 50 << 30
    said, grown, seconds = read_apart(source)
    assert "overlap" in said and said.count("\n") == 0
    assert grown < 20_000 and seconds < 10


def count_overlap_bytes(source: Path) -> int:
    with zipfile.ZipFile(source) as archive:
        return sum(member.file_size for member in archive.infolist())


def test_a_too_large_compression_ratio_is_refused(tmp_path: Path) -> None:
    source = packed_zeros(tmp_path / "bomb.zip", zipfile.ZIP_DEFLATED, 100 << 20)
    with pytest.raises(RequestError, match="200 times as large"):
        read_entries([source])
    small = packed_zeros(tmp_path / "flat.zip", zipfile.ZIP_DEFLATED, 30 << 20)
    (entry,) = read_entries([small])  # a large flat image is nothing unusual
    assert entry.content == bytes(30 << 20)


def test_the_stated_sizes_of_all_archives_are_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1000)
    sources = []
    for number in range(3):
        sources.append(tmp_path / f"{number}.zip")
        with zipfile.ZipFile(sources[-1], "w") as archive:
            archive.writestr("a.png", bytes(400))
    assert len(list(read_entries(sources[:2]))) == 2
    with pytest.raises(RequestError, match="more than the 0 MB of one batch"):
        read_entries(sources)


def test_a_huge_table_of_contents_is_not_read(tmp_path: Path) -> None:
    source = tmp_path / "many.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number:08d}.png", b"")
    with pytest.raises(RequestError, match="too many files"):
        count_entries([source])
    assert read_apart(source)[1] < 20_000


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    source = tmp_path / "in.zip"
    link = zipfile.ZipInfo("a.png")
    link.create_system, link.external_attr = 3, (kind | 0o644) << 16
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("b.png", b"good")
    refused, good = read_entries([source])
    assert isinstance(refused.content, ImageError) and "link or a device" in str(refused.content)
    assert good.content == b"good"


def test_a_member_is_read_up_to_its_stated_size(tmp_path: Path) -> None:
    source = packed_zeros(tmp_path / "liar.zip", zipfile.ZIP_DEFLATED, 50 << 20)
    data = bytearray(source.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 1000)
    source.write_bytes(data)
    (entry,) = read_entries([source])
    assert isinstance(entry.content, ImageError) and "damaged" in str(entry.content)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd.png", "etc/passwd.png"),
        ("/root/a.png", "root/a.png"),
        ("C:\\Windows\\a.png", "C/Windows/a.png"),
        ("a/./b/../c.png", "a/b/c.png"),
        ("..", "image"),
        ("line\nbreak.png", "linebreak.png"),
        ("Grüße/été.png", "Grüße/été.png"),
        ("//x/y.png", "x/y.png"),
        ("///x", "x"),
        ("\\\\server\\share\\a.png", "server/share/a.png"),
        ("a\0b\ud800.png", "ab.png"),
        ("/".join("abcdefghijkl"), "e/f/g/h/i/j/k/l"),
        ("//", "image"),
    ],
)
def test_names_become_safe_relative_paths(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_source_that_disappears_is_one_failed_entry(tmp_path: Path) -> None:
    first, second = tmp_path / "a.zip", tmp_path / "b.png"
    with zipfile.ZipFile(first, "w") as archive:
        archive.writestr("a.png", b"good")
    second.write_bytes(b"image")
    entries = read_entries([first, second])
    first.unlink()
    gone, good = entries
    assert isinstance(gone.content, ImageError) and good.content == b"image"
