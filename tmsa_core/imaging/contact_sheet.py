"""Contact sheets: several images in one, with titles."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

TILE = 128  # px, side of a small image
TITLE_HEIGHT = 22  # px, height of the titles above the images
LABEL_WIDTH = 190  # px, width of the labels left of the images
GAP = 2  # px between images
FONT_SIZE = 12


def contact_sheet(
    rows: Sequence[Sequence[Image.Image | None]],
    titles: Sequence[str] = (),
    labels: Sequence[str] = (),
    tile: int | None = None,
    gap: int = GAP,
) -> Image.Image:
    """Arranges images of equal size in a table.

    Args:
        rows: Rows of images of one length; None leaves a place empty.
        titles: A title above each column, shortened to its width; none leaves the line out.
        labels: A label left of each row; none leaves the column out.
        tile: Side in pixels to which every image is resized; None keeps the size.
        gap: Pixels between images.

    Returns:
        An RGB image.
    """
    width, height = next(image.size for row in rows for image in row if image is not None)
    if tile is not None:
        width = height = tile
    left, top = LABEL_WIDTH if any(labels) else 0, TITLE_HEIGHT if titles else 0
    columns = max(len(row) for row in rows)
    size = (left + columns * (width + gap) - gap, top + len(rows) * (height + gap) - gap)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for i, title in enumerate(titles):
        draw.text((left + i * (width + gap) + 4, 4), _shortened(title, width - 8), "black", font)
    for k, row in enumerate(rows):
        y = top + k * (height + gap)
        if left:
            draw.text((4, y + height // 2 - FONT_SIZE // 2), labels[k], "black", font)
        for i, image in enumerate(row):
            if image is not None:
                resized = image.resize((width, height), Image.Resampling.LANCZOS)
                sheet.paste(resized, (left + i * (width + gap), y))
    return sheet


def _shortened(title: str, width: int) -> str:
    """Cuts a title to a width in pixels."""
    font = ImageFont.load_default(FONT_SIZE)
    while font.getlength(title) > width and len(title) > 2:
        title = title[:-2].rstrip("…") + "…"
    return title
