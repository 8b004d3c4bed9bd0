"""How the alignment is trained: the paper's published schedule and ours, for each domain.

The paper gives Adam(0.9, 0.999), an initial rate of 5e-4 with a multi-step schedule, iterations
and batch sizes; it gives neither the steps of the rate, nor the loss weights, nor the widths of
the networks. Those are ours, and the same in every domain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, quoted

REAL_IMAGES = 10_240
STATE = "mapper"


@dataclass(frozen=True)
class Weights:
    """Weights of losses (1) to (4).

    ia and ada are divided by the number of components of a code, which brings all four to the
    same order; adaption counts half, since e4e's codes are blurrier than W's own.
    """

    sa: float = 1.0
    ia: float = 1.0
    iai: float = 1.0
    ada: float = 0.5


@dataclass(frozen=True)
class Preset:
    """One way to train M.

    iterations, batch: steps and pairs of each kind per step. image_batch: of these, how many of
    each kind go through G and CLIP for losses (1) and (3), at every ``image_every``-th step,
    where the loss counts as many times. bank: synthetic pairs drawn once and used again; zero
    draws new ones at every step. noise: length of the random vector added to unit embeddings,
    which regularises M where texts lie and images do not. closed_form: start from the ridge
    regression of that noise instead of at random. milestones: shares of the iterations after
    which the rate is divided by five. decay: of the average of the weights, which is kept.
    calibrated: bring text shifts to the right strength after training; without it they are the
    paper's raw difference.
    """

    name: str
    iterations: int
    batch: int
    image_batch: int
    image_every: int = 1
    bank: int = 0
    noise: float = 0.0
    closed_form: bool = False
    hidden: tuple[int, ...] = (512,)
    rate: float = 5e-4
    milestones: tuple[float, ...] = (0.5, 0.75, 0.9)
    decay: float = 0.999
    calibrated: bool = True
    weights: Weights = field(default_factory=Weights)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        passed = sum(step >= share * self.iterations for share in self.milestones)
        return self.rate / 5**passed


def paper_preset(domain: str) -> Preset:
    """The schedule that the paper publishes for a domain."""
    iterations, batch = find_domain(domain).paper_schedule
    return Preset("paper", iterations, batch, image_batch=batch, calibrated=False)


FAST = Preset(
    "fast",
    iterations=1_500,
    batch=128,
    image_batch=4,
    image_every=4,
    bank=10_240,
    noise=1.2,
    closed_form=True,
    hidden=(256,),
    milestones=(0.6, 0.9),
    decay=0.995,
)


def find_preset(domain: str, name: str) -> Preset:
    """The preset of a domain; a RequestError lists the names there are."""
    presets = {"fast": FAST, "paper": paper_preset(domain)}
    if name not in presets:
        raise RequestError(f"There is no preset {quoted(name)}; use one of {', '.join(presets)}.")
    return presets[name]


PRESET = FAST
