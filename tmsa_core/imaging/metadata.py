"""Metadata of saved images: that they were edited, and by which recipe; and the watermark.

The recipe (prompts, strength, domain, weights, version) is JSON under the key ``tmsa``. The
statement that the image was edited is there twice: as a sentence, and as IPTC's digital source type
in an XMP packet, for software (https://cv.iptc.org/newscodes/digitalsourcetype/).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from tmsa_core.errors import ImageError, quoted, shortened
from tmsa_core.files import check_place, check_regular, checked_path, write_whole
from tmsa_core.imaging.images import DAMAGED
from tmsa_core.version import VERSION

WATERMARK = "AI-edited"
_LETTER_SHARE = 0.035  # height of its letters, as a share of the image's shorter side
_MIN_LETTER = 9  # pixels; smaller letters cannot be read

RECIPE_KEY = "tmsa"
XMP_KEY = "XML:com.adobe.xmp"
EDITED = "Edited with TMSA: this image has been altered by text-driven face editing."
GENERATED = "Made with TMSA: this image was generated and shows no real person."
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_EXIF_DESCRIPTION, _EXIF_SOFTWARE, _EXIF_USER_COMMENT = 0x010E, 0x0131, 0x9286
_EXIF_IFD = 0x8769
_ASCII_COMMENT = b"ASCII\0\0\0"  # EXIF 2.3, table 9: the comment's character code


def annotate(image: Image.Image, recipe: Mapping[str, Any], edited: bool = True) -> Image.Image:
    """Copy an image and put the metadata into its ``info``, for ``encode_png``.

    Args:
        image: The image.
        recipe: What ``Editor.recipe`` returns.
        edited: Whether the image is an edit of another; False: it was generated.
    """
    marked = image.copy()
    texts: dict[Any, Any] = _texts(recipe, edited)
    marked.info = texts
    return marked


def encode_png(image: Image.Image) -> bytes:
    """Encode an image as a PNG file with the texts of its ``info``."""
    texts = {k: v for k, v in image.info.items() if isinstance(k, str) and isinstance(v, str)}
    buffer = io.BytesIO()
    # A quarter quicker than level 3 and an eighth larger; these files are kept for a session only.
    image.save(buffer, "PNG", pnginfo=_png_text(texts), compress_level=1)
    return buffer.getvalue()


def encode_image(
    image: Image.Image,
    recipe: Mapping[str, Any] | None = None,
    edited: bool = True,
    suffix: str = ".png",
) -> bytes:
    """Encode an image as a PNG, JPEG or WebP file with its metadata.

    Args:
        image: The image.
        recipe: What ``Editor.recipe`` returns; None for a mere crop, which gets no metadata.
        edited: As in ``annotate``.
        suffix: One of ``SUFFIXES``, in any case.

    Raises:
        ImageError: The suffix is another one, or the image is too large for the format.
    """
    _check_suffix(suffix, suffix)
    texts = _texts(recipe, edited) if recipe is not None else {}
    kind = Image.registered_extensions()[suffix.lower()]
    if kind == "PNG":
        options: dict[str, Any] = {"pnginfo": _png_text(texts)}
    else:
        options = {"quality": 95}
        if kind == "JPEG":
            options["subsampling"] = 0  # lips and eyes are small and coloured
        if texts:
            options |= {"exif": _exif(texts), "xmp": texts[XMP_KEY].encode()}
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # JPEG ends at 65,535 pixels a side, WebP at 16,383
        raise ImageError(
            f"An image of {image.width} x {image.height} pixels does not fit into {kind}; use PNG."
        ) from error
    return buffer.getvalue()


def save_image(
    image: Image.Image,
    path: str | Path,
    recipe: Mapping[str, Any] | None = None,
    edited: bool = True,
) -> None:
    """Write an image by ``encode_image`` in the format of the suffix of ``path``.

    Raises:
        ImageError: The suffix is not one of ``SUFFIXES``, or the file cannot be written.
    """
    path = checked_path(path, ImageError)
    check_destination(path)
    data = encode_image(image, recipe, edited, path.suffix)
    write_whole(path, data, ImageError)


def check_destination(path: Path) -> None:
    """Check, before the image is computed, that ``save_image`` can write to a path.

    Raises:
        ImageError: It cannot.
    """
    checked_path(path, ImageError)
    _check_suffix(path.suffix, path.name)
    check_place(path, ImageError)


def _check_suffix(suffix: str, name: str) -> None:
    if suffix.lower() not in SUFFIXES:
        raise ImageError(
            f"Images are not written as {quoted(name)}; use a name that ends in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )


def read_recipe(source: str | Path | Image.Image) -> dict[str, Any] | None:
    """Read the recipe of an image saved by this package; None if it has none.

    Raises:
        ImageError: The path is not that of an image file, or the image is too large. Pixels are
            not decoded.
    """
    if isinstance(source, Image.Image):
        return _recipe_of(source)
    path = checked_path(source, ImageError)
    check_regular(path, ImageError)
    try:
        with Image.open(path) as image:
            return _recipe_of(image)
    except (*DAMAGED, MemoryError, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{shortened(path.name)} cannot be read as an image; use PNG, JPEG or WebP."
        ) from error


def _recipe_of(image: Image.Image) -> dict[str, Any] | None:
    try:
        text = image.info.get(RECIPE_KEY)
        if text is None:
            comment = image.getexif().get_ifd(_EXIF_IFD).get(_EXIF_USER_COMMENT, b"")
            raw = comment if isinstance(comment, bytes) else str(comment).encode()
            text = raw.removeprefix(_ASCII_COMMENT).decode("ascii", errors="replace")
        recipe = json.loads(text)
    except DAMAGED:  # another program's comment, damaged metadata, or JSON that is nested too deep
        return None
    return recipe if isinstance(recipe, dict) and "domain" in recipe else None


def _texts(recipe: Mapping[str, Any], edited: bool) -> dict[str, str]:
    statement = EDITED if edited else GENERATED
    kind = "compositeWithTrainedAlgorithmicMedia" if edited else "trainedAlgorithmicMedia"
    return {
        "Software": f"TMSA {VERSION}",
        "Comment": statement,
        RECIPE_KEY: json.dumps(dict(recipe), sort_keys=True),
        XMP_KEY: PngImagePlugin.iTXt(_xmp(statement, kind), lang="", tkey=""),
    }


def _xmp(statement: str, kind: str) -> str:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<Iptc4xmpExt:DigitalSourceType>{_SOURCE_TYPES}{kind}</Iptc4xmpExt:DigitalSourceType>"
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(statement)}</rdf:li>'
        "</rdf:Alt></dc:description>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    )


def _png_text(texts: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    return info


def _exif(texts: Mapping[str, str]) -> Image.Exif:
    exif = Image.Exif()
    exif[_EXIF_DESCRIPTION] = texts["Comment"]
    exif[_EXIF_SOFTWARE] = texts["Software"]
    exif.get_ifd(_EXIF_IFD)[_EXIF_USER_COMMENT] = _ASCII_COMMENT + texts[RECIPE_KEY].encode("ascii")
    return exif


def add_watermark(image: Image.Image) -> Image.Image:
    """Copy an RGB image and write ``WATERMARK`` on a dark strip in its lower right corner."""
    size = max(_MIN_LETTER, round(_LETTER_SHARE * min(image.size)))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(WATERMARK)
    gap = max(2, round(0.45 * size))
    width, height = round(right - left) + 2 * gap, round(bottom - top) + 2 * gap
    strip = Image.new("RGB", (width, height), "black")
    draw = ImageDraw.Draw(strip)
    draw.text((gap - left, gap - top), WATERMARK, font=font, fill="white")
    marked = image.copy()
    corner = (max(0, image.width - width), max(0, image.height - height))
    under = marked.crop((*corner, corner[0] + width, corner[1] + height))
    marked.paste(Image.blend(under, strip, 0.7), corner)
    return marked
