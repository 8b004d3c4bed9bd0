"""Contact sheets: several images in one, with titles."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

TILE = 128  # px, side of an image in the titled grid
TITLE_HEIGHT = 22  # px
GAP = 2  # px between images
HEADER = 16  # px, height of the titles over a grid


def side_by_side(crops: Sequence[Image.Image]) -> Image.Image:
    """Join crops of one height to a strip, from left to right."""
    strip = Image.new("RGB", (sum(c.width for c in crops), max(c.height for c in crops)))
    left = 0
    for crop in crops:
        strip.paste(crop, (left, 0))
        left += crop.width
    return strip


def titled_grid(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Images as a table, a title over each column, shortened to fit it."""
    font = ImageFont.load_default(12)
    size = (TILE * len(titles), TITLE_HEIGHT + TILE * len(rows))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        while font.getlength(title) > TILE - 8 and len(title) > 2:
            title = title[:-2] + "…" if not title.endswith("…") else title[:-2] + "…"
        draw.text((column * TILE + 4, 4), title, font=font, fill="black")
        for row, images in enumerate(rows):
            tile = images[column].resize((TILE, TILE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (column * TILE, TITLE_HEIGHT + row * TILE))
    return sheet


def grid(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Images of equal size as a table with a title over each column."""
    side = rows[0][0].width
    step = side + GAP
    sheet = Image.new("RGB", (step * len(titles) - GAP, HEADER + step * len(rows) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((column * step + 3, 2), title, fill="black")
        for row, images in enumerate(rows):
            sheet.paste(images[column], (column * step, HEADER + row * step))
    return sheet
