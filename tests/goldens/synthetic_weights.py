"""Deterministic synthetic weights and inputs for numerical parity fixtures.

Everything here depends only on numpy's PCG64 bit generator and on SHA-256, so
the same tensors come out on every platform, without any torch RNG.

Names used below: a *key* is the string a value is derived from. For model
tensors it is the full state-dict key with the fixture's namespace in front,
for example ``stylegan2_ffhq1024/conv1.conv.weight``.
"""

from __future__ import annotations

import hashlib
import math
import re

import numpy as np

__all__ = [
    "fill_state_dict",
    "hash_indices",
    "hash_normal",
    "leave_alone",
    "make_tensor",
    "pattern_image",
    "rule_for",
    "smooth_image",
]

SQRT2 = math.sqrt(2.0)


# --------------------------------------------------------------------------
# primitive: standard normal values from a name
# --------------------------------------------------------------------------
def _generator(key: str) -> np.random.Generator:
    seed = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed))


def hash_normal(key: str, shape) -> np.ndarray:
    """float32 standard-normal array of ``shape`` that depends only on ``key``."""
    return _generator(key).standard_normal(tuple(shape)).astype(np.float32)


def hash_indices(key: str, total: int, count: int) -> np.ndarray:
    """``count`` flat indices below ``total`` (with repetition), int64, in draw order.

    Derived from SHA-256 in counter mode, so independent of numpy's generators:
    block i is sha256(f"{key}#{i}"); each block yields four little-endian uint64
    values; every value is reduced modulo ``total``.
    """
    out = np.empty(((count + 3) // 4, 4), dtype=np.uint64)
    for i in range(out.shape[0]):
        out[i] = np.frombuffer(hashlib.sha256(f"{key}#{i}".encode()).digest(), dtype="<u8")
    return (out.reshape(-1)[:count] % np.uint64(total)).astype(np.int64)


# --------------------------------------------------------------------------
# which tensors stay as the module built them
# --------------------------------------------------------------------------
_LEAVE = re.compile(r"(^|\.)(blur\.kernel|upsample\.kernel|num_batches_tracked)$")


def leave_alone(key: str) -> bool:
    """True for tensors that are never filled (FIR kernels, BN step counters)."""
    return bool(_LEAVE.search(key))


# --------------------------------------------------------------------------
# the filling rule
# --------------------------------------------------------------------------
def rule_for(key: str, shape, keys) -> tuple[str, float, float]:
    """Return ``(kind, scale, offset)`` for one tensor.

    ``keys`` is the collection of all keys of the same state dict; it is used
    only to tell BatchNorm affine parameters (a sibling ``running_mean``
    exists) from PReLU slopes.

    value = offset + scale * n          for kind "normal"
    value = offset + scale * abs(n)     for kind "absnormal"
    with n = hash_normal(namespace + key, shape).
    """
    shape = tuple(shape)
    stem, _, leaf = key.rpartition(".")

    if leaf == "running_mean":
        return "normal", 0.1, 0.0
    if leaf == "running_var":
        return "absnormal", 0.1, 1.0
    if stem + ".running_mean" in keys:  # BatchNorm affine
        return ("normal", 0.1, 1.0) if leaf == "weight" else ("normal", 0.1, 0.0)

    # buffers / constants of the generator
    if re.search(r"(^|\.)noises\.noise_\d+$", key) or re.search(r"(^|\.)input\.input$", key):
        return "normal", 1.0, 0.0
    if re.search(r"(^|\.)noise\.weight$", key):  # per-layer noise strength, one value
        return "normal", 0.05, 0.2

    # mapping MLPs whose layers carry lr_mul = 0.01
    if re.search(r"(^|\.)(style|mapping)\.\d+\.weight$", key):
        return "normal", 100.0, 0.0
    if re.search(r"(^|\.)(style|mapping)\.\d+\.bias$", key):
        return "normal", 10.0, 0.0

    # modulation (affine from w to style)
    if key.endswith("modulation.weight"):
        return "normal", 1.0, 0.0
    if key.endswith("modulation.bias"):
        return "normal", 0.1, 1.0

    # modulated convolutions: five dimensions, equalised inside the layer
    if leaf == "weight" and len(shape) == 5:
        return ("normal", 0.15, 0.0) if shape[1] == 3 and shape[3] == 1 else ("normal", 1.0, 0.0)

    # other layers that equalise inside the layer
    if re.search(r"(^|\.)condition_(scale|shift)\d\.\d+\.weight$", key):
        return "normal", 0.3, 0.0
    if re.search(r"(^|\.)styles\.\d+\.linear\.weight$", key):
        return "normal", 0.4, 0.0

    # squeeze-and-excitation: stronger, so that the gates leave 0.5
    if re.search(r"\.(fc1|fc2)\.weight$", key):
        return "normal", 3.0 / math.sqrt(shape[1]), 0.0

    # style-head convolutions are followed by a (leaky) ReLU
    if re.search(r"(^|\.)styles\.\d+\.convs\.\d+\.weight$", key):
        return "normal", SQRT2 / math.sqrt(int(np.prod(shape[1:]))), 0.0

    # PReLU: one-dimensional weight that is no BatchNorm's
    if leaf == "weight" and len(shape) == 1:
        return "normal", 0.05, 0.25

    # any other convolution or linear layer
    if leaf == "weight":
        return "normal", 1.0 / math.sqrt(int(np.prod(shape[1:]))), 0.0
    if leaf == "bias":
        return "normal", 0.1, 0.0

    raise KeyError(f"no rule for {key} {shape}")


def make_tensor(namespace: str, key: str, shape, keys) -> np.ndarray:
    kind, scale, offset = rule_for(key, shape, keys)
    n = hash_normal(namespace + key, shape)
    if kind == "absnormal":
        n = np.abs(n)
    return n * np.float32(scale) + np.float32(offset)


def fill_state_dict(shapes: dict, namespace: str = "") -> dict:
    """``{key: shape}`` -> ``{key: float32 array}``.

    Keys for which ``leave_alone`` is true are absent from the result; merge the
    result over the module's own state dict before loading it strictly.
    """
    return {
        key: make_tensor(namespace, key, shape, shapes)
        for key, shape in shapes.items()
        if not leave_alone(key)
    }


# --------------------------------------------------------------------------
# inputs
# --------------------------------------------------------------------------
def _resize_bilinear_corners(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """(C, g, g) -> (C, height, width); corner samples coincide; float64."""

    def axis(n_in, n_out):
        pos = np.arange(n_out, dtype=np.float64) * (n_in - 1) / (n_out - 1)
        lo = np.minimum(pos.astype(np.int64), n_in - 2)
        return lo, pos - lo

    ylo, yf = axis(grid.shape[1], height)
    xlo, xf = axis(grid.shape[2], width)
    g = grid.astype(np.float64)
    rows = g[:, ylo, :] * (1 - yf)[None, :, None] + g[:, ylo + 1, :] * yf[None, :, None]
    return rows[:, :, xlo] * (1 - xf)[None, None, :] + rows[:, :, xlo + 1] * xf[None, None, :]


def smooth_image(key: str, height: int, width: int) -> np.ndarray:
    """(1, 3, height, width) float32 image in (-1, 1), smooth, from hash-normals.

    tanh of 0.7 * A + 0.35 * B + 0.15 * C, where A, B, C are hash-normal grids of
    (3, 5, 5), (3, 17, 17) and (3, 65, 65), named ``key + "/grid5"`` and so on,
    stretched to the size bilinearly with coinciding corners.
    """
    total = np.zeros((3, height, width))
    for size, gain in ((5, 0.7), (17, 0.35), (65, 0.15)):
        grid = hash_normal(f"{key}/grid{size}", (3, size, size))
        total += gain * _resize_bilinear_corners(grid, height, width)
    return np.tanh(total).astype(np.float32)[None]


def pattern_image(width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 colourful test pattern, integer arithmetic only.

    tri(t, p) = abs(t mod 2p - p) * 255 // p (a triangle wave);
    R = tri(2x + y, 611), G = tri(3y - x, 431), B = tri((x*x + y*y) // 700, 331);
    then 24 is added where (x // 40 + y // 40) is odd, and the result is capped at 255.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)

    def tri(t, p):
        return np.abs(np.mod(t, 2 * p) - p) * 255 // p

    rgb = np.stack(
        [tri(2 * x + y, 611), tri(3 * y - x, 431), tri((x * x + y * y) // 700, 331)], axis=-1
    )
    rgb = rgb + 24 * ((x // 40 + y // 40) & 1)[..., None]
    return np.minimum(rgb, 255).astype(np.uint8)
