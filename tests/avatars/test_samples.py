"""The committed sample portraits."""

import numpy as np

from tmsa_core.avatars.render import render
from tmsa_core.avatars.samples import LOOKS, SIDE, sample_people
from tmsa_core.bundles import open_bundle
from tmsa_core.imaging.images import load_image, to_image


def test_the_committed_samples_are_what_the_renderer_draws():
    folder = open_bundle("avatar").folder / "samples"
    assert SIDE == 512 and {path.stem for path in folder.glob("*.png")} == LOOKS.keys()
    for name, drawn in zip(LOOKS, render(sample_people(), SIDE).images, strict=True):
        kept = np.asarray(load_image(folder / f"{name}.png")).astype(int)
        assert np.abs(kept - np.asarray(to_image(drawn))).max() <= 1, name
