"""The geometry of a portrait's face, and the 68 landmarks that follow from it.

Face coordinates: x to the right, y down, origin near the bridge of the nose; one unit is about
half the side of the aligned crop. The head is an outline with features on a cylinder that turns
by the yaw. All sizes and their dependence on traits, age and gender are the authors' values,
tuned by eye.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.sdf import affine, length, power
from tmsa_core.avatars.params import ATTRIBUTES, Portraits

Frame = tuple[tuple[float, float, float], tuple[float, float, float]]  # rows of an affine map
EYE_LEVEL = -0.05  # y of the eyes
MAX_YAW = math.radians(11)  # of a portrait whose trait is 1; features stay on the drawn head
DEPTH = 0.72  # radius of the cylinder that the features lie on


@dataclass(frozen=True)
class Sitter:
    """One portrait in plain Python: traits as numbers in [-1, 1], attributes as option names."""

    traits: Mapping[str, float]
    options: Mapping[str, str]

    def __getitem__(self, attribute: str) -> str:
        return self.options[attribute]


@dataclass(frozen=True)
class Geometry:
    """Measures of one face in face coordinates.

    ``*_x`` and ``*_y`` are positions, ``*_w`` and ``*_h`` half sizes. ``taper``, ``squareness`` and
    ``fullness`` shape the lower half of the head, see ``head_width`` and ``head_level``.
    """

    head_w: float
    head_top: float
    head_mid: float  # y of the widest place
    chin: float
    taper: float
    squareness: float
    fullness: float
    yaw: float  # radians
    eye_x: float
    eye_w: float
    eye_h: float
    eye_tilt: float
    closed: bool
    brow_y: float
    brow_w: float
    brow_thickness: float
    brow_slope: float
    brow_bend: float
    nose_y: float
    nose_w: float
    mouth_y: float
    mouth_w: float
    mouth_curve: float
    mouth_open: float
    lip_upper: float
    lip_lower: float
    ear: float
    neck_w: float
    shoulder_w: float
    rim: float  # lower edge of headwear above the middle of the face

    def turn(self, u: float) -> float:
        """Image x of a feature at ``u`` on the turned face."""
        z = math.sqrt(max(DEPTH**2 - u * u, 0.0))
        return u * math.cos(self.yaw) + z * math.sin(self.yaw)

    def unturn(self, x: Tensor) -> Tensor:
        """Inverse of ``turn`` for a grid x, (h, w)."""
        z = affine(x * x, -1, DEPTH**2).clamp_(min=0).sqrt_()
        return affine(x, math.cos(self.yaw), 0.0).sub_(z, alpha=math.sin(self.yaw))

    @property
    def chin_shift(self) -> float:
        """How far the yaw moves the chin in x."""
        return 0.75 * DEPTH * math.sin(self.yaw)

    def head_width(self, t: float) -> float:
        """Half width of the lower head at t, 0 at its widest place and 1 at the chin."""
        return self.head_w * (1 - self.taper * t * t + self.fullness * t * (1 - t))

    def head_level(self, x: Tensor, y: Tensor) -> Tensor:
        """Implicit head for grids x and y: 0 in the middle, 1 on the outline; same shape."""
        down, up = 1 / (self.chin - self.head_mid), 1 / (self.head_mid - self.head_top)
        t = affine(y, down, -down * self.head_mid).clamp_(0, 1.25)
        width = affine(t, self.fullness * self.head_w, self.head_w)
        width.addcmul_(t, t, value=-(self.taper + self.fullness) * self.head_w)
        across = torch.sub(x, t, alpha=self.chin_shift).abs_().div_(width.clamp_(0.3 * self.head_w))
        n = self.squareness
        low = power(power(across.clamp_(min=1e-4), n).add_(power(t, n)), 1 / n)
        return length(low, affine(y, -up, up * self.head_mid).clamp_(min=0))

    def eye_lids(self, q: float) -> tuple[float, float]:
        """Y of the upper and lower lid at q, -1 at the inner and 1 at the outer corner."""
        tilt = -self.eye_tilt * q
        if self.closed:
            y = EYE_LEVEL + 0.75 * self.eye_h * (0.44 - q * q) + tilt
            return y, y
        middle = EYE_LEVEL + 0.1 * self.eye_h + tilt
        return middle - self.eye_h * (1 - abs(q) ** 2.5), middle + 0.72 * self.eye_h * (1 - q * q)

    def lip_lines(self, q: float) -> tuple[float, float, float, float]:
        """Y of the outer upper, inner upper, inner lower and outer lower lip line at q, -1 to 1."""
        p = 1 - q * q
        middle = self.mouth_y - self.mouth_curve * (q * q - 0.4)
        upper = middle - 0.3 * self.mouth_open * p
        lower = middle + 0.7 * self.mouth_open * p
        bow = 1 - 0.32 * math.exp(-((q / 0.2) ** 2))
        return upper - self.lip_upper * p * bow, upper, lower, lower + self.lip_lower * p


EXPRESSION: dict[str, tuple[float, float, float]] = {  # mouth width factor, curve, opening
    "frown": (0.98, -0.115, 0.0),
    "neutral": (0.92, 0.012, 0.0),
    "smile": (1.16, 0.115, 0.0),
    "grin": (1.26, 0.085, 0.165),
}


def sitters(portraits: Portraits) -> list[Sitter]:
    """Convert a batch to a list of sitters."""
    traits = {k: v.tolist() for k, v in portraits.traits.items()}
    attributes = {k: v.tolist() for k, v in portraits.attributes.items()}
    return [
        Sitter(
            {k: v[i] for k, v in traits.items()},
            {k: ATTRIBUTES[k].options[v[i]] for k, v in attributes.items()},
        )
        for i in range(len(portraits))
    ]


def measure(sitter: Sitter) -> Geometry:
    """Compute the geometry that follows from a sitter's traits and attributes."""
    t = sitter.traits
    male = 1.0 if sitter["gender"] == "male" else 0.0
    kid = 1.0 if sitter["age"] == "kid" else 0.0
    old = 1.0 if sitter["age"] == "old" else 0.0
    man = male * (1 - 0.55 * kid)  # boys have less of the masculine shape
    width, curve, opening = EXPRESSION[sitter["expression"]]
    mouth_w = (0.205 - 0.03 * kid + 0.008 * male + 0.024 * t["mouth_width"]) * width
    lips = (1 + 0.28 * t["lip_fullness"]) * (1 - 0.36 * old - 0.15 * kid)
    length = t["face_length"]
    brow_y = -0.245 - 0.035 * kid - 0.014 * t["brow_height"] + (0.022 * male)
    brow = 0.0165 + 0.021 * man + 0.008 * old - 0.002 * kid
    frowning = 1.0 if sitter["expression"] == "frown" else 0.0
    return Geometry(
        head_w=0.535 + 0.088 * kid + 0.028 * man + 0.032 * t["face_width"],
        head_top=-0.68 - 0.12 * kid - 0.02 * length,
        head_mid=0.06 + 0.04 * kid,
        chin=0.69 - 0.085 * kid + 0.045 * man + (0.045 - 0.02 * kid) * length,
        taper=0.30 - 0.23 * man - 0.08 * kid - 0.09 * t["jaw_width"] - 0.05 * old,
        squareness=2.0 + 0.75 * man + 0.14 * t["jaw_width"] + 0.1 * kid + 0.22 * old,
        fullness=0.06 + 0.18 * t["cheeks"] + 0.24 * kid + 0.04 * old,
        yaw=MAX_YAW * t["yaw"],
        eye_x=0.25 * (1 + 0.045 * t["eye_spacing"]),
        eye_w=(0.148 + 0.027 * kid - 0.008 * old) * (1 + 0.07 * t["eye_size"]),
        eye_h=(0.104 + 0.040 * kid - 0.018 * old - 0.010 * man) * (1 + 0.13 * t["eye_size"]),
        eye_tilt=0.010 + 0.026 * t["eye_tilt"],
        closed=sitter["eyes"] == "closed",
        brow_y=brow_y,
        brow_w=0.165 + 0.012 * male - 0.012 * kid,
        brow_thickness=brow * (1 + 0.3 * t["brow_thickness"]),
        brow_slope=0.020 * t["brow_angle"] - 0.040 * frowning,
        brow_bend=0.058 - 0.046 * male,
        nose_y=0.185 - 0.045 * kid + 0.026 * t["nose_length"] + 0.012 * man,
        nose_w=(0.088 - 0.030 * kid + 0.016 * man + 0.012 * old) * (1 + 0.22 * t["nose_width"]),
        mouth_y=0.405 - 0.055 * kid + 0.024 * t["mouth_height"] + 0.008 * length + 0.01 * man,
        mouth_w=mouth_w,
        mouth_curve=curve,
        mouth_open=opening,
        lip_upper=(0.066 - 0.020 * male) * lips,
        lip_lower=(0.076 - 0.020 * male) * lips,
        ear=0.125 * (1 + 0.2 * t["ear_size"]) * (1 + 0.12 * old),
        neck_w=0.195 + 0.080 * man - 0.045 * kid,
        shoulder_w=0.80 + 0.26 * man - 0.14 * kid,
        rim=-0.375 - 0.045 * kid,
    )


def landmarks(g: Geometry) -> list[tuple[float, float]]:
    """The 68 points (x, y) in dlib's order, in face coordinates."""
    turned = [(g.turn(u), y) for u, y in _brows(g) + _nose(g) + _eyes(g) + _mouth(g)]
    return _jaw(g) + turned


def face_landmarks(portraits: Portraits) -> Tensor:
    """(B, 68, 2) float32: the landmarks in face coordinates, dlib's order."""
    return landmark_points([measure(sitter) for sitter in sitters(portraits)], portraits.device)


def landmark_points(faces: Sequence[Geometry], device: torch.device) -> Tensor:
    """(B, 68, 2) float32: the landmarks of B measured faces in face coordinates."""
    points = [landmarks(g) for g in faces]
    return torch.tensor(points, dtype=torch.float32, device=device).view(-1, 68, 2)


def crop_views(points: Tensor) -> Tensor:
    """The aligned crop of FFHQ (Karras et al. 2019), as affine maps.

    Its axes follow the eyes and the mouth; its half side is the larger of twice the distance of
    the eyes and 1.8 times the distance from eyes to mouth. ``align`` computes the same crop for
    photos with NumPy.

    Args:
        points: (B, 68, 2) landmarks.

    Returns:
        (B, 2, 3) maps from normalised image coordinates, -1 to 1 between the outer edges of the
        crop, to the coordinates of the landmarks.
    """
    left, right = points[:, 36:42].mean(dim=1), points[:, 42:48].mean(dim=1)
    eyes, eye_to_eye = (left + right) / 2, right - left
    eye_to_mouth = (points[:, 48] + points[:, 54]) / 2 - eyes
    x = eye_to_eye - _quarter_turn(eye_to_mouth)
    x = x / x.norm(dim=1, keepdim=True)
    size = torch.maximum(eye_to_eye.norm(dim=1) * 2.0, eye_to_mouth.norm(dim=1) * 1.8)
    x = x * size[:, None]
    return torch.stack([x, _quarter_turn(x), eyes + 0.1 * eye_to_mouth], dim=2)


def crop_frames(views: Tensor) -> list[Frame]:
    """The inverses of views (B, 2, 3): B maps from face to crop coordinates."""
    inverse = torch.linalg.inv(views[:, :, :2])
    shift = -(inverse @ views[:, :, 2:])
    return [
        ((a, b, c), (d, e, f))
        for (a, b, c), (d, e, f) in torch.cat([inverse, shift], dim=2).tolist()
    ]


def aligned_views(portraits: Portraits) -> Tensor:
    """(B, 2, 3) float32: the aligned crop of each portrait, see ``crop_views``."""
    return crop_views(face_landmarks(portraits))


def _quarter_turn(v: Tensor) -> Tensor:
    """Vectors (B, 2) turned by 90 degrees."""
    return torch.stack([-v[:, 1], v[:, 0]], dim=1)


def _jaw(g: Geometry) -> list[tuple[float, float]]:
    """The 17 points of the jaw, from the left of the image to the right."""
    half = []
    for i in range(9):
        t = math.sin(math.pi / 2 * i / 8)
        x = g.head_width(t) * max(1 - t**g.squareness, 0.0) ** (1 / g.squareness)
        half.append((x, t, g.head_mid + t * (g.chin - g.head_mid)))
    left = [(-x + t * g.chin_shift, y) for x, t, y in half]
    right = [(x + t * g.chin_shift, y) for x, t, y in reversed(half[:-1])]
    return left + right


def _brows(g: Geometry) -> list[tuple[float, float]]:
    """The 10 points of the brows, before the turn."""

    def side(sign: int) -> list[tuple[float, float]]:
        points = []
        for q in (1.0, 0.5, 0.0, -0.5, -1.0):  # from the outer end inwards
            y = g.brow_y + g.brow_slope * q + g.brow_bend * (q - 0.15) ** 2
            points.append((sign * (g.eye_x * 1.06 + g.brow_w * q), y))
        return points

    return side(-1) + side(1)[::-1]


def _nose(g: Geometry) -> list[tuple[float, float]]:
    """The 9 points of the nose, before the turn."""
    bridge = [(0.0, EYE_LEVEL + (g.nose_y - 0.035 - EYE_LEVEL) * i / 3) for i in range(4)]
    base = [(g.nose_w * q, g.nose_y + 0.012 * (1 - q * q)) for q in (-0.9, -0.45, 0, 0.45, 0.9)]
    return bridge + base


def _eyes(g: Geometry) -> list[tuple[float, float]]:
    """The 12 points of the eyes, before the turn."""

    def at(sign: int, q: float, lid: int) -> tuple[float, float]:
        return sign * (g.eye_x + g.eye_w * q), g.eye_lids(q)[lid]

    left = [(1.0, 0), (0.4, 0), (-0.4, 0), (-1.0, 0), (-0.4, 1), (0.4, 1)]
    right = [(-1.0, 0), (-0.4, 0), (0.4, 0), (1.0, 0), (0.4, 1), (-0.4, 1)]
    return [at(-1, q, lid) for q, lid in left] + [at(1, q, lid) for q, lid in right]


def _mouth(g: Geometry) -> list[tuple[float, float]]:
    """The 20 points of the mouth, before the turn."""

    def at(q: float, line: int) -> tuple[float, float]:
        return g.mouth_w * q, g.lip_lines(q)[line]

    outer = [at(q, 0) for q in (-1.0, -0.6, -0.25, 0.0, 0.25, 0.6, 1.0)]
    outer += [at(q, 3) for q in (0.6, 0.25, 0.0, -0.25, -0.6)]
    inner = [at(q, 1) for q in (-0.85, -0.4, 0.0, 0.4, 0.85)]
    inner += [at(q, 2) for q in (0.4, 0.0, -0.4)]
    return outer + inner
