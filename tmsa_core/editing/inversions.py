"""The ways to invert a crop, and to synthesise it after an edit.

A latent code loses details of the crop. Each inversion says what it keeps of them, its *details*:

    e4e    nothing; the generator draws the edited code
    HFGI   the residual, crop minus inversion, which is aligned to the edited crop and added
    SFE    features of one layer, which the feature editor changes as the edit changes e4e's code

Tensors are on the networks' device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tmsa_core.datatypes import Details
from tmsa_core.errors import RequestError
from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.hfgi import HFGI
from tmsa_core.networks.sfe import SFE
from tmsa_core.networks.stylegan2 import Generator


class Inversion(Protocol):
    """One way to invert crops and to synthesise them after an edit."""

    def invert(self, crop: Tensor, encoder_input: Tensor) -> tuple[Tensor, Details]:
        """Invert a crop.

        Args:
            crop: (1,3,R,R) in [-1,1].
            encoder_input: The same part (1,3,H,W) in the size of e4e's input.

        Returns:
            w_plus (1,L,512), and the details, each with a first dimension of 1.
        """

    def draw(
        self, w_plus: Tensor, shift: Tensor, details: Details, masks: Tensor | None = None
    ) -> Tensor:
        """Synthesise edited codes.

        Args:
            w_plus: (B,L,512) float32, from ``invert``.
            shift: (B,L,512) float32, what the edit adds; zeros give the inversion.
            details: From ``invert``, with a first dimension of B.
            masks: Regions, as in ``Generator.synthesise_styles``.

        Returns:
            (B,3,R,R) images, nominally in [-1,1], not clamped.
        """


@dataclass(frozen=True)
class CodeInversion:
    """e4e and the generator alone; a sample, which has a code only, is drawn the same way."""

    generator: Generator
    encoder: Encoder | None

    def invert(self, crop: Tensor, encoder_input: Tensor) -> tuple[Tensor, Details]:
        """See ``Inversion``; RequestError if e4e was not loaded."""
        if self.encoder is None:
            raise RequestError(
                "This editor was loaded for samples only: call load_editor without samples_only "
                "to invert images."
            )
        return self.encoder(encoder_input.to(self.dtype)), ()

    def draw(
        self, w_plus: Tensor, shift: Tensor, details: Details, masks: Tensor | None = None
    ) -> Tensor:
        """See ``Inversion``."""
        return self.generator.synthesise((w_plus + shift).to(self.dtype), masks=masks)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the networks."""
        return self.generator.input.input.dtype


@dataclass(frozen=True)
class HfgiInversion:
    """e4e's code, the residual (3,S,S), and the crop (3,S,S)."""

    codes: CodeInversion
    hfgi: HFGI

    def invert(self, crop: Tensor, encoder_input: Tensor) -> tuple[Tensor, Details]:
        """See ``Inversion``."""
        w_plus, _ = self.codes.invert(crop, encoder_input)
        codes = w_plus.to(self.codes.dtype)
        residual = self.hfgi.residual(self.codes.generator, encoder_input, codes)
        return w_plus, (residual, self.hfgi.downscale(crop))

    def draw(
        self, w_plus: Tensor, shift: Tensor, details: Details, masks: Tensor | None = None
    ) -> Tensor:
        """See ``Inversion``; runs the layers above the residual twice."""
        residual, crop = details
        edited, before = (w_plus + shift).to(self.codes.dtype), crop if shift.any() else None
        return self.hfgi.fuse(self.codes.generator, residual, edited, masks, before)


@dataclass(frozen=True)
class SfeInversion:
    """The features F (C,s,s), e4e's code (L,512), and what the generator makes of it (C,s,s)."""

    codes: CodeInversion
    sfe: SFE

    def invert(self, crop: Tensor, encoder_input: Tensor) -> tuple[Tensor, Details]:
        """See ``Inversion``; e4e sees the crop as the backbone does."""
        seen, generator = self.sfe.reduce(crop), self.codes.generator
        e4e_code, _ = self.codes.invert(crop, seen)
        w_plus, features = self.sfe.invert(generator, seen, e4e_code)
        own, _ = generator.synthesise_lower(self._styles(e4e_code), self.sfe.side)
        return w_plus, (features, e4e_code, own)

    def draw(
        self, w_plus: Tensor, shift: Tensor, details: Details, masks: Tensor | None = None
    ) -> Tensor:
        """See ``Inversion``; runs the layers above the features once."""
        features, e4e_code, before = details
        generator, styles = self.codes.generator, self._styles(w_plus + shift)
        after, image = generator.synthesise_lower(styles, self.sfe.side, masks)
        if self.sfe.heads:  # otherwise both codes are the same
            of_e4e = self._styles(e4e_code + shift)
            after, _ = generator.synthesise_lower(of_e4e, self.sfe.side, masks)
        moved = shift.flatten(1).any(dim=1)[:, None, None, None]  # rounding shall not edit
        change = self.sfe.change(before, after.float()) * moved
        edited = self.sfe.edited_features(features, change)
        return generator.synthesise_upper(styles, edited.to(after.dtype), image, masks)

    def _styles(self, w_plus: Tensor) -> list[Tensor]:
        return self.codes.generator.to_styles(w_plus.to(self.codes.dtype))


# The inversions that need a network besides e4e; its role in a bundle is their name.
WITH_DETAILS: Mapping[str, Callable[[CodeInversion, Any], Inversion]] = {
    "hfgi": HfgiInversion,
    "sfe": SfeInversion,
}


def make_inversion(
    name: str, generator: Generator, encoder: Encoder | None, load: Callable[[str], nn.Module]
) -> Inversion:
    """Make an inversion.

    Args:
        name: A key of ``WITH_DETAILS``; any other draws the code alone.
        generator: StyleGAN2.
        encoder: e4e, None where nothing is inverted.
        load: Loads the network of a role.

    Returns:
        The inversion.
    """
    codes = CodeInversion(generator, encoder)
    return WITH_DETAILS[name](codes, load(name)) if name in WITH_DETAILS else codes
