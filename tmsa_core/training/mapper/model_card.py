"""The model card of a published mapper: Markdown with the YAML header that the Hub reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tmsa_core.bundles import Bundle
from tmsa_core.domains import Domain, find_domain
from tmsa_core.editing.named_mapper import BELONGS_TO
from tmsa_core.training.mapper.measure import MapperQuality
from tmsa_core.version import VERSION

PAPER = "https://arxiv.org/abs/2301.10670"
OPEN_LICENCES = {"MIT": "mit"}  # names of the manifest and of the Hub
_STATED = ("command", "domain", *BELONGS_TO)  # what other parts of the card say


def model_card(
    bundle: Bundle, metadata: Mapping[str, Any], repository: str, quality: MapperQuality
) -> str:
    """Write the card of a bundle's mapper.

    Args:
        bundle: Has the mapper and the networks that it belongs to.
        metadata: What the mapper's file says about itself, with its domain and hashes.
        repository: "user/name" on the Hub.
        quality: Measured at the publication.
    """
    facts = find_domain(bundle.domain)
    parts = (
        _header(bundle),
        _introduction(facts),
        _use(bundle, repository, facts, metadata["origin"]),
        _making(bundle, metadata),
        _quality(quality),
        _licences(bundle),
        _LIMITS,
    )
    return "\n".join(parts)


def _header(bundle: Bundle) -> str:
    licence = OPEN_LICENCES.get(bundle.files["mapper"].licence, "other")
    entries = [bundle.files[role] for role in BELONGS_TO]
    downloads = [bundle.downloads[e.download] for e in entries if e.download in bundle.downloads]
    bases = dict.fromkeys(download.places[0].repo for download in downloads)
    lines = [
        "---",
        f"license: {licence}",
        "pipeline_tag: image-to-image",
        "library_name: tmsa",
        # The drawn domain's networks come with the repository and are not on the Hub.
        f"base_model: [{', '.join(bases)}]",
        "tags: [tmsa, stylegan2, clip, text-guided-editing, space-alignment, arxiv:2301.10670]",
        "---",
    ]
    return "\n".join(lines) + "\n"


def _introduction(facts: Domain) -> str:
    return f"""# TMSA mapping network: {facts.title}

Maps CLIP embeddings of images or texts to latent codes (W+, {facts.levels} x 512) of the StyleGAN2
generator of the domain `{facts.key}` ({facts.resolution} pixels). The difference of the codes of
two texts is an edit: `{facts.neutral_text}` -> `{facts.examples[0][1]}`. The method is
[TMSA, arXiv 2301.10670]({PAPER}).
"""


def _use(bundle: Bundle, repository: str, facts: Domain, origin: Mapping[str, Any]) -> str:
    return f"""## Use

```python
from tmsa_core import EditRequest, load_editor

editor = load_editor("{facts.key}", mapper="{repository}")
prepared = editor.prepare("image.jpg")
result = editor.edit(prepared, EditRequest("{facts.neutral_text}", "{facts.examples[0][1]}"))
result.image.save("edited.png")
```

```bash
tmsa edit image.jpg -o edited.png --target "{facts.examples[0][1]}" \\
  --domain {facts.key} --mapper {repository}
tmsa app --domain {facts.key} --mapper {repository}  # or TMSA_MAPPER={repository}
```

It works with these networks only, and TMSA checks that: generator `{origin["generator"][:12]}`,
CLIP `{origin["clip"][:12]}` (SHA-256 of their tensors).
"""


def _making(bundle: Bundle, metadata: Mapping[str, Any]) -> str:
    origin, seconds = metadata["origin"], bundle.seconds("mapper")
    rows = {key: value for key, value in sorted(origin.items()) if key not in _STATED}
    if seconds is not None:
        rows["seconds"] = f"{seconds:.0f}"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""## How it was made

With TMSA {VERSION}, without labels and captions:

```bash
{origin.get("command", "unknown")}
```

Its cost, in images that the generator made (evaluations) and in seconds, and its settings:

| | |
|---|---|
{table}

Architecture: `{json.dumps(metadata["architecture"])}`.
"""


def _quality(quality: MapperQuality) -> str:
    return f"""## Measured at publishing

{quality.samples} samples of the generator, each edited at strength 1 by {quality.texts} texts:

| metric | value | meaning |
|---|---|---|
| round trip | {quality.round_trip} | cosine of the movements of image and texts in CLIP's space |
| calibration | {quality.calibration} | 0: no nearer to the text; 1: as near as the best samples |
"""


def _licences(bundle: Bundle) -> str:
    rows = "\n".join(
        f"| {role} | {bundle.files[role].licence or 'unknown'} | {bundle.files[role].source} |"
        for role in ("mapper", *BELONGS_TO)
    )
    return f"""## Licences

The mapper is of no use without the weights that it belongs to, so their licences bind it too.

| network | licence | source |
|---|---|---|
{rows}

{bundle.notice}
"""


_LIMITS = """## Limits

An edit can only change what the generator can synthesise and CLIP can distinguish. Attributes that
are correlated in either may change together. Edit portraits only of people who agree, and say that
they were edited.
"""
