"""Pictures into a moving one: GIF, WebP or MP4, there and back again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

from PIL import Image

from tmsa_core.errors import RequestError
from tmsa_core.quoting import quoted

ANIMATIONS = ("gif", "webp", "mp4")
FRAMES_PER_SECOND = 20
HOLD = 8  # frames that each end is held


def there_and_back(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames forwards, held, and backwards, held: an animation that repeats without a jump."""
    return [*frames, *[frames[-1]] * HOLD, *reversed(frames), *[frames[0]] * HOLD]


def encode_animation(frames: Sequence[Image.Image], kind: str) -> bytes:
    """RGB frames of one size as a GIF, WebP or MP4 (H.264) file that repeats.

    MP4 holds even sizes only, so an odd row or column is left out there. Raises RequestError for
    another kind.
    """
    if kind not in ANIMATIONS:
        raise RequestError(f"kind is {quoted(kind)}; use one of {', '.join(ANIMATIONS)}.")
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
    import av  # 100 MB that only this needs

    width, height = (side - side % 2 for side in frames[0].size)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_image(frame.crop((0, 0, width, height)))
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return buffer.getvalue()
