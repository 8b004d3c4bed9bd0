"""Files of rows: complete rows are read, an incomplete last one is removed, others are refused."""

import json

import pytest

from tmsa_core.errors import RequestError
from tmsa_core.evaluation.json_lines import RowKind, RowLog

NOTES = RowKind("day", frozenset({"day", "words"}), "notes")
WHOLE = '{"day": 1, "words": "a"}\n{"day": 1, "words": "b", "more": true}\n'


def test_a_missing_file_has_no_rows(tmp_path):
    path = tmp_path / "new" / "none"
    assert NOTES.read(path) == [] == RowLog(path, NOTES, {"day": 1}).rows
    assert not path.parent.exists()


@pytest.mark.parametrize("rest", ["", "{", '{"day": ', '{"day": 3, "wor'])
def test_an_incomplete_last_row_is_ignored_by_readers_and_removed_by_a_log(rest, tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text(WHOLE + rest)
    assert [row["words"] for row in NOTES.read(path)] == ["a", "b"]
    assert path.read_text() == WHOLE + rest
    assert len(RowLog(path, NOTES, {"day": 1}).rows) == 2
    assert path.read_text() == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        WHOLE + "my own",
        '{"day": 1}\n',
        "[1]\n3\n",
        "[" * 100_000 + "\n",
        "no",
        "my notes\nmore\n",
        b"\xff\xfe\x00",
    ],
)
def test_another_file_is_refused_and_stays_as_it_is(text, tmp_path):
    path = tmp_path / "else.txt"
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    for use in (NOTES.read, lambda p: RowLog(p, NOTES, {"day": 1})):
        with pytest.raises(RequestError, match="does not contain notes: name another file"):
            use(path)
    assert path.read_bytes() == content


def test_a_log_keeps_its_run_rounds_numbers_and_finds_rows(tmp_path):
    path = tmp_path / "a" / "notes.jsonl"
    RowLog(path, NOTES, {"day": 1}).add([{"words": "a", "n": 0.12345678}, {"words": "b"}])
    other = RowLog(path, NOTES, {"day": 2})
    assert other.rows == []
    other.add([{"words": "a", "n": float("nan")}])
    assert other.rows == [{"day": 2, "words": "a", "n": None}]
    log = RowLog(path, NOTES, {"day": 1})
    assert log.find(words="a") == [{"day": 1, "words": "a", "n": 0.12346}]
    assert log.find(words="c") == [] and len(log.rows) == 2
    assert [json.loads(line)["day"] for line in path.read_text().splitlines()] == [1, 1, 2]
