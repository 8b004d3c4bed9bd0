"""Images in, tensors through, images out: the only place where pixel ranges convert.

Outside the package an image is an RGB ``PIL.Image`` in sRGB with its rotation tag already
applied; inside it is float32 (B, 3, H, W) in [-1, 1].
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tmsa_core.errors import ImageError, shortened
from tmsa_core.files import checked_path, read_bounded

ImageSource = Image.Image | str | Path | np.ndarray | bytes

MAX_PIXELS = 64_000_000
MAX_JPEG2000_PIXELS = 16_000_000  # its decoder takes 30 bytes of memory and 0.2 us for each
MAX_BYTES = 512 << 20  # of a file; 64 megapixels of 16-bit RGBA without compression
DEEP_RANGES = (255.0, 1023.0, 4095.0, 65535.0)  # of 8, 10, 12 and 16 bits in deeper grey
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "PPM")
"""Formats that are read. Others that Pillow knows start programs (EPS) or are no photos."""

_ADVICE = "please use a JPEG, PNG or WebP photo."
_HEIC = tuple(b"ftyp" + b for b in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"))
# What readers raise on damaged files. Pillow documents UnidentifiedImageError, an OSError; its
# plugins and the libraries below them also raise these (AVIF: RuntimeError).
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    SystemError,
    struct.error,
    zlib.error,
)
# Share of the brightest, and of the darkest, pixels of deep grey that do not decide its range.
_OUTLIERS = 0.001
_OVERSHOOT = 0.1  # of float images beyond the ends of their range, as resampling makes it
_DIMMEST_EIGHT_BITS = 8.0  # a float image that ends below would be black in a range of 255


def load_image(source: ImageSource) -> Image.Image:
    """Read an image as upright RGB in sRGB; transparency becomes white.

    Colours are converted to sRGB where the image holds another ICC profile; a profile that
    cannot be used is ignored. The image returned holds no profile.

    Args:
        source: A PIL image of any mode, the path of a regular file, an encoded file as bytes, or
            a uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Of an animation the
            first frame is taken. It is never changed.

    Returns:
        The image; it shares no memory with ``source``.

    Raises:
        ImageError: In one sentence, for everything that is no such image, for a file of more
            than ``MAX_BYTES`` and for an image of more than ``MAX_PIXELS``, which is refused
            before it is decoded.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source, "The image")
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source), "The array")
    if isinstance(source, bytes):
        return _read(source, "The data")
    if isinstance(source, (str, Path)):
        path = checked_path(source, ImageError)
        return _read(read_bounded(path, MAX_BYTES, ImageError), f"The file {shortened(path.name)}")
    raise ImageError(
        f"Got {_a_kind(source)} instead of an image: give an image file, a PIL image or an array."
    )


def to_uint8(images: Tensor) -> Tensor:
    """Floats, nominally in [-1, 1], clamped and rounded -> uint8 of the same shape."""
    return images.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(images: Tensor) -> Tensor:
    """Pixels of type uint8 -> float32 in [-1, 1] of the same shape."""
    return images.float().div(127.5).sub(1)


def to_tensor(image: Image.Image) -> Tensor:
    """RGB image -> (1, 3, H, W) float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image.convert("RGB")))  # (H, W, 3)
    return from_uint8(pixels.permute(2, 0, 1).unsqueeze(0))


def to_image(pixels: Tensor) -> Image.Image:
    """(3, H, W) or (1, 3, H, W), nominally in [-1, 1], clamped and rounded -> RGB image.

    The exact inverse of ``to_tensor``. Raises ValueError for another shape.
    """
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim != 3 or pixels.shape[0] != 3:
        raise ValueError(f"expected (3, H, W) or (1, 3, H, W), got {tuple(pixels.shape)}")
    return Image.fromarray(to_uint8(pixels).permute(1, 2, 0).contiguous().cpu().numpy())


def _read(data: bytes, name: str) -> Image.Image:
    if not data:
        raise ImageError(f"{name} is empty: {_ADVICE}")
    Image.init()
    if data[4:12] in _HEIC:
        _need_heic_reader(name)
    known = [f for f in FORMATS if f in Image.OPEN]
    with _plain_errors(name), Image.open(io.BytesIO(data), formats=known) as image:
        # Before anything is decoded: a file of 244 bytes can declare any number of pixels.
        most = MAX_JPEG2000_PIXELS if image.format == "JPEG2000" else MAX_PIXELS
        _check_size(*image.size, name, most)
        return _to_rgb(image, name)


def _need_heic_reader(name: str) -> None:
    """Make Pillow read HEIC, where the package for it is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise ImageError(
            f"{name} is a HEIC image, as iPhones take them, and cannot be read here: save it as "
            "JPEG, or install the package pillow-heif."
        ) from error
    register_heif_opener()


def _from_array(array: np.ndarray) -> Image.Image:
    shape = shortened("x".join(map(str, array.shape)))
    expected = "expected HxWx3 of type uint8 with values from 0 to 255"
    if array.dtype != np.uint8:
        kind = shortened(array.dtype)  # one with named fields can be long
        raise ImageError(f"Got an array of type {kind} as an image: {expected}.")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(f"Got an array of shape {shape or '()'} as an image: {expected}.")
    if 0 in array.shape:
        raise ImageError(f"Got an array of shape {shape} without a pixel: {expected}.")
    _check_size(array.shape[1], array.shape[0], "The array")
    return Image.fromarray(np.ascontiguousarray(array))


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Decode, turn upright, and bring any mode to RGB."""
    _check_size(*image.size, name)
    with _plain_errors(name):
        image.load()
        image = _turn_upright(image)
        if image.mode.startswith("I") or image.mode == "F":
            image = _deep_to_grey(image)
        image = _in_srgb(image)
        if image.has_transparency_data:
            return _unmarked(_on_white(image))
        if image.mode == "LAB":
            return _unmarked(_lab_to_rgb(image))
        # convert() hands back the same object for an RGB image: never the caller's own.
        return _unmarked(image.convert("RGB").copy())


def _turn_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF rotation; a tag block that cannot be read leaves the image as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED:
        return image


def _in_srgb(image: Image.Image) -> Image.Image:
    """The image with its colours converted to sRGB, where it holds another ICC profile."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not profile or image.mode == "LAB":
        return image
    from PIL import ImageCms  # an optional part of Pillow

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):
            return image  # a conversion would only round
        if image.mode not in ("L", "RGB", "RGBA", "CMYK"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, *DAMAGED):
        return image  # a damaged profile, or one of another kind of colours
    if "transparency" in image.info and mode == "RGB":  # names a colour before the conversion
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted


def _unmarked(image: Image.Image) -> Image.Image:
    """The image without its profile, which no longer describes its colours."""
    image.info.pop("icc_profile", None)
    return image


def _deep_to_grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey -> 8-bit grey, by the smallest range that holds its values.

    Cameras and scanners put 10 or 12 bits into files of 16. Single pixels beyond a range, such as
    hot ones of a sensor, are clipped.
    """
    values = np.asarray(image, dtype=np.float32)
    low, high = _without_outliers(values[np.isfinite(values)])
    bottom, top = _range(low, high, image.mode == "F")
    finite = np.nan_to_num(values, nan=bottom, posinf=top, neginf=bottom)
    shares = (finite.clip(bottom, top) - bottom) / (top - bottom)
    return Image.fromarray(np.rint(shares * 255).astype(np.uint8))


def _without_outliers(values: np.ndarray) -> tuple[float, float]:
    """The lowest and highest of finite values, single outliers left out."""
    if not values.size:
        return 0.0, 0.0
    left_out = max(1, int(_OUTLIERS * values.size)) if values.size > 2 else 0
    places = (left_out, values.size - 1 - left_out)
    low, high = np.partition(values, places)[list(places)]
    return float(low), float(high)


def _range(low: float, high: float, fractions: bool) -> tuple[float, float]:
    """What is black and what is white in grey values from low to high."""
    if fractions and high <= 1 + _OVERSHOOT:
        signed = -1 - _OVERSHOOT <= low < -_OVERSHOOT  # as networks draw images
        return (-1.0 if signed else 0.0), 1.0
    if fractions and high < _DIMMEST_EIGHT_BITS:
        return 0.0, high
    return 0.0, next((top for top in DEEP_RANGES if high <= top), high)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # premultiplied: no direct way to RGBA for both
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # an optional part of Pillow

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, *profiles, outputMode="RGB")


def _check_size(width: int, height: int, name: str, most: int = MAX_PIXELS) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name} holds no pixel ({width} x {height}): {_ADVICE}")
    if width * height > most:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than the {most // 1_000_000} "
            "megapixels that are accepted: please make it smaller."
        )


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Turn what Pillow raises and warns of while reading into an ImageError."""
    try:
        with warnings.catch_warnings():
            # Sizes are checked by ourselves, and odd metadata is nobody's concern here.
            warnings.simplefilter("ignore")
            yield
    except MemoryError as error:
        raise ImageError(
            f"{name} needs more memory than this machine has free: please make it smaller."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} has more than the {MAX_PIXELS // 1_000_000} megapixels that are accepted: "
            "please make it smaller."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that can be read: {_ADVICE}") from error
    except DAMAGED as error:
        raise ImageError(f"{name} is damaged or incomplete: {_ADVICE}") from error


def _a_kind(source: object) -> str:
    return "nothing" if source is None else f"a {shortened(type(source).__name__)}"
