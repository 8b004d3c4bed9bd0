"""The visible notice: a line in the picture's corner that says it was edited."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

NOTICE = "AI-edited"
_SHARE = 0.035  # of the shorter side is the height of the letters
_SMALLEST = 9  # px; below, letters cannot be read


def add_notice(image: Image.Image, text: str = NOTICE) -> Image.Image:
    """A copy of an RGB picture with ``text`` on a dark strip in its lower right corner."""
    size = max(_SMALLEST, round(_SHARE * min(image.size)))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    gap = max(2, round(0.45 * size))
    width, height = round(right - left) + 2 * gap, round(bottom - top) + 2 * gap
    strip = Image.new("RGB", (width, height), "black")
    draw = ImageDraw.Draw(strip)
    draw.text((gap - left, gap - top), text, font=font, fill="white")
    marked = image.copy()
    corner = (max(0, image.width - width), max(0, image.height - height))
    under = marked.crop((*corner, corner[0] + width, corner[1] + height))
    marked.paste(Image.blend(under, strip, 0.7), corner)
    return marked
