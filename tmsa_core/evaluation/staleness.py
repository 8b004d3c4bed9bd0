"""What a page says of figures that were measured before the weights that are in the bundle now."""

from __future__ import annotations

from collections.abc import Mapping

from tmsa_core.baselines.interface import FROZEN_ROLES
from tmsa_core.bundles import Bundle

JUDGES = ("classifier", "identity")
TRAINED_WITH = ("generator", "clip", "e4e")
ROLES: Mapping[str, tuple[str, ...]] = {
    "gap": (*TRAINED_WITH, *JUDGES),
    "losses": (*TRAINED_WITH, *JUDGES),
    "curve": (*TRAINED_WITH, *JUDGES),
    "merit": (*TRAINED_WITH, "mapper", *JUDGES),
}
"""The networks that the figures of each study hang on; their fingerprint stands in its rows."""

STUDIES: Mapping[str, tuple[str, ...]] = {"comparison": FROZEN_ROLES} | ROLES
"""The networks that the figures of a study hang on."""


def present_weights(bundle: Bundle) -> dict[str, str]:
    """study -> the fingerprint that its rows would have if it were measured now."""
    return {study: bundle.fingerprint(roles) for study, roles in STUDIES.items()}


def staleness_note(measured: object, present: str | None) -> str:
    """One sentence where a study is older than the weights; empty where it is not, or unknown."""
    if present is None or measured == present:
        return ""
    return (
        f"These figures are older than the networks in the bundle: weights `{measured}`, now "
        f"`{present}`. They stay until they are measured anew."
    )
