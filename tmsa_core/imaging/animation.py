"""Encode animations: GIF, WebP and, if the package ``av`` is installed, MP4."""

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
HOLD = 8  # frames for which each end is held


def there_and_back(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames forwards and backwards, both ends held, to repeat without a jump."""
    return [*frames, *[frames[-1]] * HOLD, *reversed(frames), *[frames[0]] * HOLD]


def animation_kinds() -> tuple[str, ...]:
    """The kinds of file that can be written; MP4 only if ``av`` is installed."""
    return (*ALWAYS, "mp4") if importlib.util.find_spec("av") else ALWAYS


def check_animation_kind(kind: str) -> None:
    """Check, before any frame is computed, that a kind of file can be written.

    Raises:
        RequestError: The kind is not one of ``animation_kinds``.
    """
    kinds = animation_kinds()
    if kind in kinds:
        return
    if kind == "mp4":
        raise RequestError(f"{MP4_HINT} Or choose GIF or WebP.")
    raise RequestError(f"kind is {quoted(kind)}; use one of {', '.join(kinds)}.")


def encode_animation(frames: Sequence[Image.Image], kind: str) -> bytes:
    """Encode frames as an animation that repeats.

    Args:
        frames: RGB images of one size, shown at ``FRAMES_PER_SECOND``.
        kind: "gif", "webp" or "mp4" (H.264, which drops an odd row or column).

    Returns:
        The content of the file.

    Raises:
        RequestError: The kind cannot be written.
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
