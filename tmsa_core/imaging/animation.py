"""Writes animations: GIF, WebP and, where the package ``av`` is installed, MP4."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from fractions import Fraction

from PIL import Image

from tmsa_core.errors import RequestError, quoted

ALWAYS = ("gif", "webp")
MP4_HINT = 'MP4 needs the Python package "av" where this page runs: pip install av.'
FRAMES_PER_SECOND = 20
HOLD = 8  # frames that each end is held


def there_and_back(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames forwards, held, and backwards, held: an animation that repeats without a jump."""
    return [*frames, *[frames[-1]] * HOLD, *reversed(frames), *[frames[0]] * HOLD]


def animation_kinds() -> tuple[str, ...]:
    """Returns the kinds of file that can be written here; MP4 only where ``av`` is installed."""
    return (*ALWAYS, "mp4") if importlib.util.find_spec("av") else ALWAYS


def check_animation_kind(kind: str) -> None:
    """Refuses a kind of file that cannot be written here, before any frame is computed.

    Args:
        kind: "gif", "webp" or "mp4".

    Raises:
        RequestError: the kind is unknown, or it is "mp4" and ``av`` is not installed.
    """
    kinds = animation_kinds()
    if kind in kinds:
        return
    if kind == "mp4":
        raise RequestError(f"{MP4_HINT} Or choose GIF or WebP.")
    raise RequestError(f"kind is {quoted(kind)}; use one of {', '.join(kinds)}.")


def encode_animation(frames: Sequence[Image.Image], kind: str) -> bytes:
    """Writes frames as an animation that repeats.

    Args:
        frames: RGB images of one size, shown at FRAMES_PER_SECOND.
        kind: "gif", "webp" or "mp4" (H.264). MP4 holds even sizes only, so an odd row or column
            is left out there.

    Returns:
        The content of the file.

    Raises:
        RequestError: the kind cannot be written here.
    """
    check_animation_kind(kind)
    if kind == "mp4":
        return _mp4(frames)
    first, *rest = frames
    options = {"quality": 90} if kind == "webp" else {}
    buffer = io.BytesIO()
    first.save(
        buffer, kind.upper(), save_all=True, append_images=rest, loop=0,
        duration=1000 // FRAMES_PER_SECOND, **options,
    )  # fmt: skip
    return buffer.getvalue()


def _mp4(frames: Sequence[Image.Image]) -> bytes:
    import av  # an optional dependency, 100 MB

    width, height = (side - side % 2 for side in frames[0].size)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            image = av.VideoFrame.from_image(frame.crop((0, 0, width, height)))
            file.mux(stream.encode(image))
        file.mux(stream.encode())
    return buffer.getvalue()
