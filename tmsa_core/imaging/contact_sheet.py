"""Contact sheets: several images in one."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

TILE = 128  # pixels, side of an image in a grid
TITLE_HEIGHT = 22  # pixels


def side_by_side(crops: Sequence[Image.Image]) -> Image.Image:
    """Join crops of one height to a strip, from left to right."""
    strip = Image.new("RGB", (sum(c.width for c in crops), max(c.height for c in crops)))
    left = 0
    for crop in crops:
        strip.paste(crop, (left, 0))
        left += crop.width
    return strip


def grid(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Arrange square images as a table of tiles, with a title over each column, cut to fit."""
    font = ImageFont.load_default(12)
    sheet = Image.new("RGB", (TILE * len(titles), TITLE_HEIGHT + TILE * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        shown = title
        while font.getlength(shown) > TILE - 8 and len(shown) > 2:
            shown = shown.removesuffix("…")[:-1] + "…"
        draw.text((column * TILE + 4, 4), shown, font=font, fill="black")
        for row, images in enumerate(rows):
            tile = images[column].resize((TILE, TILE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (column * TILE, TITLE_HEIGHT + row * TILE))
    return sheet
