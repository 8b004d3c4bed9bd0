"""Read images, and convert between images and tensors; pixel ranges are converted only here.

An image is an RGB ``PIL.Image`` in sRGB with its rotation tag applied. A tensor of images is
float32 (B,3,H,W) in [-1, 1].
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

from tmsa_core.datatypes import ImageSource
from tmsa_core.errors import ImageError, shortened
from tmsa_core.files import checked_path, read_bounded

MAX_PIXELS = 64_000_000
MAX_JPEG2000_PIXELS = 16_000_000  # the decoder takes 30 bytes of memory and 0.2 us for each
MAX_BYTES = 512 << 20  # of a file: 64 megapixels of 16-bit RGBA without compression
DEEP_RANGES = (255.0, 1023.0, 4095.0, 65535.0)  # white for 8, 10, 12 and 16 bits of grey
# Formats that are read. Others that Pillow knows start programs (EPS) or hold no photos.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "PPM")

_ADVICE = "please use a JPEG, PNG or WebP photo."
_HEIC = tuple(b"ftyp" + b for b in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"))
# Errors of readers on damaged files. Pillow documents UnidentifiedImageError, an OSError; its
# plugins and the libraries below them also raise the others (AVIF: RuntimeError).
DAMAGED = (
    OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, EOFError,
    ArithmeticError, RuntimeError, SystemError, struct.error, zlib.error,
)  # fmt: skip
_OUTLIERS = 0.001  # share of the brightest, and of the darkest, pixels that a range leaves out
_OVERSHOOT = 0.1  # of float images beyond the ends of their range, caused by resampling
_DIMMEST_EIGHT_BITS = 8.0  # a float image with a lower maximum would be black in a range of 255


def load_image(source: ImageSource) -> Image.Image:
    """Read an image as upright RGB in sRGB; transparency becomes white.

    Colours of another ICC profile are converted; a profile that cannot be used is ignored.

    Args:
        source: A PIL image of any mode, the path of a regular file, an encoded file as bytes, or
            a uint8 array (H,W), (H,W,1), (H,W,3) or (H,W,4). It is not changed. An animation
            gives its first frame.

    Returns:
        The image, without a profile; it shares no memory with ``source``.

    Raises:
        ImageError: The source is not such an image, its file is larger than ``MAX_BYTES``, or it
            has more than ``MAX_PIXELS``, which is checked before decoding.
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
    kind = "nothing" if source is None else f"a {shortened(type(source).__name__)}"
    raise ImageError(
        f"Got {kind} instead of an image: give an image file, a PIL image or an array."
    )


def to_uint8(images: Tensor) -> Tensor:
    """Floats, nominally in [-1, 1], clamped and rounded -> uint8 of the same shape."""
    return images.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(images: Tensor) -> Tensor:
    """Pixels of type uint8 -> float32 in [-1, 1] of the same shape."""
    return images.float().div(127.5).sub(1)


def to_tensor(image: Image.Image) -> Tensor:
    """Convert an image to a tensor (1,3,H,W) float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image.convert("RGB")))  # (H, W, 3)
    return from_uint8(pixels.permute(2, 0, 1).unsqueeze(0))


def to_image(pixels: Tensor) -> Image.Image:
    """Convert a tensor to an RGB image: the exact inverse of ``to_tensor``.

    Args:
        pixels: (3,H,W) or (1,3,H,W), nominally in [-1, 1]; clamped and rounded.

    Raises:
        ValueError: The shape is another one.
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
        # Check before decoding: a file of 244 bytes can declare any number of pixels.
        most = MAX_JPEG2000_PIXELS if image.format == "JPEG2000" else MAX_PIXELS
        _check_size(*image.size, name, most)
        return _to_rgb(image, name)


def _need_heic_reader(name: str) -> None:
    """Make Pillow read HEIC; raises ImageError if the package for it is not installed."""
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
    """Decode an image of any mode, turn it upright and convert it to RGB."""
    _check_size(*image.size, name)
    with _plain_errors(name):
        image.load()
        image = _turn_upright(image)
        if image.mode.startswith("I") or image.mode == "F":
            image = _deep_to_grey(image)
        image = _in_srgb(image)
        if image.has_transparency_data:
            return _without_profile(_on_white(image))
        if image.mode == "LAB":
            return _without_profile(_lab_to_rgb(image))
        # Copy, because convert() returns the caller's own object for an RGB image.
        return _without_profile(image.convert("RGB").copy())


def _turn_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF rotation, unless the metadata cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED:
        return image


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert the colours to sRGB if the image has another ICC profile."""
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
        assert converted is not None  # only for inPlace=True it is
    except (ImageCms.PyCMSError, *DAMAGED):
        return image  # a damaged profile, or one for other colours
    if "transparency" in image.info and mode == "RGB":  # a colour before the conversion
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted


def _without_profile(image: Image.Image) -> Image.Image:
    """Remove the profile, which no longer describes the colours."""
    image.info.pop("icc_profile", None)
    return image


def _deep_to_grey(image: Image.Image) -> Image.Image:
    """Convert 16-bit, 32-bit and float grey to 8 bits by the smallest range for its values.

    Cameras and scanners store 10 or 12 bits in files of 16. Single pixels beyond a range, such as
    a sensor's hot pixels, are clipped.
    """
    values = np.asarray(image, dtype=np.float32)
    low, high = _without_outliers(values[np.isfinite(values)])
    bottom, top = _range(low, high, image.mode == "F")
    finite = np.nan_to_num(values, nan=bottom, posinf=top, neginf=bottom)
    shares = (finite.clip(bottom, top) - bottom) / (top - bottom)
    return Image.fromarray(np.rint(shares * 255).astype(np.uint8))


def _without_outliers(values: np.ndarray) -> tuple[float, float]:
    """The lowest and highest of finite values without single outliers."""
    if not values.size:
        return 0.0, 0.0
    left_out = max(1, int(_OUTLIERS * values.size)) if values.size > 2 else 0
    places = (left_out, values.size - 1 - left_out)
    low, high = np.partition(values, places)[list(places)]
    return float(low), float(high)


def _range(low: float, high: float, fractions: bool) -> tuple[float, float]:
    """The grey values of black and white for an image with values from low to high."""
    if fractions and high <= 1 + _OVERSHOOT:
        signed = -1 - _OVERSHOOT <= low < -_OVERSHOOT  # the range of networks
        return (-1.0 if signed else 0.0), 1.0
    if fractions and high < _DIMMEST_EIGHT_BITS:
        return 0.0, high
    return 0.0, next((top for top in DEEP_RANGES if high <= top), high)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # premultiplied; Pillow cannot convert "La" to RGBA
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # an optional part of Pillow

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert converted is not None  # only for inPlace=True it is
    return converted


def _check_size(width: int, height: int, name: str, most: int = MAX_PIXELS) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels ({width} x {height}): {_ADVICE}")
    if width * height > most:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than the {most // 1_000_000} "
            "megapixels that are accepted: please make it smaller."
        )


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Turn Pillow's errors into an ImageError and ignore its warnings."""
    try:
        with warnings.catch_warnings():
            # Sizes are checked here, and unusual metadata does no harm.
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
