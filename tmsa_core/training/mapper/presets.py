"""Training schedules of the alignment: the paper's for each domain, and a fast one.

The paper states Adam(0.9, 0.999), an initial learning rate of 5e-4 with a multi-step schedule, the
iterations and the batch sizes. It states neither the steps of the schedule, nor the loss weights,
nor the widths of the networks. Those are our choices, the same in every domain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, quoted

REAL_IMAGES = 10_240  # renders that the drawn domain takes as real images
RUN_NAME = "mapper"  # folder of the checkpoints and logs


@dataclass(frozen=True)
class Weights:
    """Weights of the four losses.

    Losses (2) and (4) are divided by the number of components of a code before they are weighted,
    which brings all four to the same order of magnitude.

    Attributes:
        sa: Of equation (1).
        ia: Of equation (2).
        iai: Of equation (3).
        ada: Of equation (4); half, since e4e's codes are less exact than sampled ones.
    """

    sa: float = 1.0
    ia: float = 1.0
    iai: float = 1.0
    ada: float = 0.5


@dataclass(frozen=True)
class Preset:
    """A training schedule of the mapper M.

    Attributes:
        name: Name of the preset.
        iterations: Number of steps.
        batch: Synthetic pairs, and real pairs, per step.
        image_batch: How many of each go through G and CLIP for losses (1) and (3).
        image_every: Steps between two such evaluations; their losses are multiplied by it.
        bank: Synthetic pairs that are sampled once and reused; 0 samples new ones at every step.
        noise: Length of the random vector added to unit embeddings. It regularises M where there
            are texts but no images.
        closed_form: Start from the ridge regression for this noise instead of random weights.
        hidden: Widths of M's hidden layers.
        rate: Initial learning rate.
        milestones: Shares of the iterations after which the rate is divided by five.
        decay: Decay of the average of the weights, which is exported.
        calibrated: Calibrate the length of text shifts after training; otherwise they are the
            paper's plain difference.
        weights: Weights of the losses.
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
    """The paper's schedule for a domain."""
    iterations, batch = find_domain(domain).paper_schedule
    return Preset("paper", iterations, batch, image_batch=batch, calibrated=False)


# Made for the drawn domain on a CPU. No search over these values is recorded.
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
    """The preset of a domain; raises RequestError for an unknown name."""
    presets = {"fast": FAST, "paper": paper_preset(domain)}
    if name not in presets:
        raise RequestError(f"There is no preset {quoted(name)}; use one of {', '.join(presets)}.")
    return presets[name]
