"""Actions that choose the portrait: open, generate, restore from an image or a link."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tmsa_core.availability import domain_status
from tmsa_core.datatypes import PreparedFace
from tmsa_core.domains import DOMAINS
from tmsa_core.errors import ImageError, RequestError, TmsaError, quoted
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import NOT_SENT, Leases
from tmsa_core.server.files import shown
from tmsa_core.server.messages import inform, warn
from tmsa_core.server.samples import Samples
from tmsa_core.ui.edit_stack import History, new_history
from tmsa_core.ui.edit_values import (
    EditControls,
    EditSession,
    PageUpdate,
    controls_update,
    portrait_update,
    stack_update,
)
from tmsa_core.ui.links import (
    STRENGTHS,
    EditSettings,
    from_query,
    from_recipe,
    to_query,
    within_page,
)
from tmsa_core.validation import whole

RANDOM_SEEDS = 1_000_000


class PortraitActions:
    """Actions that choose the portrait; ``owner`` is always the visitor's session hash.

    Args:
        editors: Editors of all domains.
        samples: Sample portraits of the first domain.
        leases: Records which visitor uses which file.
    """

    def __init__(self, editors: Editors, samples: Samples, leases: Leases) -> None:
        self.editors = editors
        self.samples = samples
        self.leases = leases

    def choose_sample(self, index: int) -> str:
        """The file of a sample portrait, which the next edit opens like any image."""
        return self.samples.file(self.samples.names[index])

    def open(self, controls: EditControls, owner: str, last: EditSession | None) -> EditSession:
        """Prepare the image in the controls; if it is that of the last session, keep its seed.

        Raises:
            ImageError: The image is missing, unreadable or shows no face.
            RequestError: The domain is unknown or cannot edit.
        """
        image = controls.image
        if image is None and not controls.arrived:
            image = self.choose_sample(0)
        if image is None:
            raise ImageError("There is no image yet; drop one, or pick a sample portrait.")
        if not Path(image).exists():
            raise ImageError(NOT_SENT)
        editor = self.editors.get(controls.domain)

        # Samples are prepared once for all visitors.
        sample = self.samples.named(image) if editor is self.editors.first else None
        if sample is not None and not controls.aligned:
            prepared = self.samples.prepared(sample, controls.inversion)
            return self.new_session(owner, image, prepared, sample=sample)

        # A random portrait needs no face detection, also when it is opened in another domain.
        seed = last.seed if last is not None and last.source == image else None
        aligned = controls.aligned or seed is not None
        prepared = editor.prepare(image, controls.inversion, aligned=aligned)
        session = self.new_session(owner, image, prepared, seed=seed)
        return replace(session, aligned=controls.aligned)

    def new_session(
        self,
        owner: str,
        source: str,
        prepared: PreparedFace,
        seed: int | None = None,
        sample: str | None = None,
    ) -> EditSession:
        """Write the files that show a prepared portrait."""
        images = (shown(prepared.photo), prepared.crop, prepared.inversion_crop)
        photo, crop, inversion = (self.leases.keep(owner, image) for image in images)
        if sample is None:
            self.leases.take(owner, source)
        return EditSession(
            owner, source, prepared, photo, crop, inversion, seed=seed, sample=sample
        )

    def generate(self, seed: float | None, owner: str = "", domain: str = "") -> PageUpdate:
        """Generate the portrait of a seed and show it; the next edit uses it."""
        number = whole(seed or 0, "seed")
        prepared = self.editors.get(domain).sample(number)
        source = self.leases.keep(owner, prepared.crop)
        session = self.new_session(owner, source, prepared, seed=number)
        return portrait_update(session) | PageUpdate(image=session.source, seed=number)

    def random(self, owner: str = "", domain: str = "") -> PageUpdate:
        """Generate the portrait of a random seed."""
        return self.generate(secrets.randbelow(RANDOM_SEEDS), owner, domain)

    def restore(self, image: str | None, owner: str = "") -> PageUpdate:
        """Set the page by the recipe inside an uploaded image, if it has one.

        A random or sample portrait that the recipe names is opened again. Otherwise the image
        itself is used with all edits switched off, because it already shows them.

        The update is empty without a recipe; if the recipe cannot be used, a warning says so.
        """
        if image is not None:
            self.leases.take(owner, image)
        recipe = _read_recipe(image)
        if recipe is None:
            return PageUpdate()
        try:
            setting = from_recipe(recipe)
            if setting.seed is None and not self._is_available(setting.domain):
                # Edit the image in the current domain instead.
                setting = replace(setting, domain="", inversion="")
            update = self.apply(setting, owner)
        except TmsaError as error:
            warn(f"The recipe inside the image could not be used. {error}")
            return PageUpdate()
        if "image" in update or "history" not in update:
            return update
        history = update["history"]
        for i in range(len(history.now.layers)):
            history = replace(history, now=history.now.toggle(i))
        return update | stack_update(history)

    def apply(self, setting: EditSettings, owner: str = "") -> PageUpdate:
        """Set edits, domain, inversion and portrait; RequestError if the domain is missing."""
        if not self._is_available(setting.domain):
            raise RequestError(
                f"The domain {quoted(setting.domain)} is not available here; choose it in the "
                "list to see what it needs."
            )
        update = PageUpdate()
        if setting.domain:
            update["domain"] = setting.domain
        if setting.inversion in self.editors.get(setting.domain).inversions:
            update["inversion"] = setting.inversion
        if setting.edits:
            edits = tuple(map(within_page, setting.edits))
            if edits != setting.edits:
                low, high = STRENGTHS
                inform(
                    f"The page limits strengths to {low:g} ... {high:g} and thresholds to its "
                    "slider's range."
                )
            history = new_history(edits)
            update |= controls_update(history.now.request) | stack_update(history)
        if setting.seed is not None:
            update |= self.generate(setting.seed, owner, setting.domain)
        elif setting.sample in self.samples.names:
            update["image"] = self.samples.file(setting.sample)
        return update

    def arrive(self, query: Iterable[tuple[str, str]], owner: str = "") -> PageUpdate:
        """Open the page: show what the link's query says, or else the first sample."""
        start = PageUpdate(image=self.choose_sample(0))
        try:
            return start | self.apply(from_query(query), owner)
        except TmsaError as error:
            warn(f"The link could not be used. {error}")
            return start

    def link(self, session: EditSession | None, history: History) -> str:
        """Query of a link that restores these settings; it never contains the image."""
        setting = EditSettings(history.now.active)
        if session is not None:
            setting = replace(
                setting,
                domain=session.prepared.domain,
                inversion="" if session.generated else session.prepared.inversion,
                seed=session.seed,
                sample=session.sample,
            )
        return to_query(setting)

    def _is_available(self, domain: str) -> bool:
        if domain in ("", self.editors.first.domain.key):
            return True
        return domain in DOMAINS and domain_status(domain).available


def _read_recipe(image: str | None) -> Mapping[str, Any] | None:
    try:
        return read_recipe(image) if image else None
    except ImageError:  # the edit that follows reports what is wrong with the file
        return None
