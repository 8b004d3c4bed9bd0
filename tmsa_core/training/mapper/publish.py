"""Publishing a mapper on the Hugging Face Hub, with a model card that says how it was made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tmsa_core.bundles import Bundle
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, quoted
from tmsa_core.training.mapper.export import FILE
from tmsa_core.version import VERSION
from tmsa_core.weights.download import network_errors
from tmsa_core.weights.network_files import read_metadata

CARD = "README.md"


def publish_mapper(
    bundle: Bundle,
    repository: str,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a bundle's mapper and its card to ``repository`` ("user/name"); its address.

    endpoint, token: another Hub and another login than huggingface_hub's own. Raises BundleError
    without a mapper, RequestError for a name the Hub would not take and where the upload fails.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise RequestError(
            f"{quoted(repository)} is no name of a repository: use USER/NAME with "
            "letters, digits, . - _."
        ) from error
    api = HfApi(endpoint=endpoint, token=token)
    with TemporaryDirectory() as folder:
        write_publication(bundle, Path(folder), repository)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            message = f"TMSA mapper for {bundle.domain}"
            done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        # an address or a login that is no such thing is a ValueError, a broken upload of large
        # files a RuntimeError
        except (*network_errors(), OSError, ValueError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise RequestError(
                f"The upload to {repository} failed ({reason}): check the network, and log in with "
                "`hf auth login`."
            ) from error
    return str(done.commit_url).partition("/commit/")[0]


def write_publication(bundle: Bundle, folder: Path, repository: str) -> list[Path]:
    """Write what a publication consists of, the mapper and its card, into ``folder``; the files.

    Raises BundleError if the bundle has no mapper.
    """
    source = bundle.path("mapper")
    card = model_card(bundle, read_metadata(source), repository)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / FILE)
    (folder / CARD).write_text(card)
    return [folder / CARD, folder / FILE]


def model_card(bundle: Bundle, metadata: Mapping[str, object], repository: str) -> str:
    """The card, in Markdown, with the header that the Hub reads."""
    facts, origin = find_domain(bundle.domain), dict(metadata["origin"])  # type: ignore[call-overload]
    licence = bundle.files["mapper"].licence or "unknown"
    header = [
        "---",
        f"license: {licence.lower() if licence == 'MIT' else 'other'}",
        "library_name: tmsa",
        "tags: [tmsa, stylegan2, clip, text-guided-editing, space-alignment]",
        "---",
    ]
    made = [f"| {name} | {value} |" for name, value in sorted(origin.items())]
    numbers = json.dumps(metadata["architecture"])
    body = f"""
# TMSA mapping network: {facts.title}

Maps CLIP embeddings, of images or texts, to the {facts.levels} x 512 latent codes (W+) of the
StyleGAN2 generator of the domain `{bundle.domain}` ({facts.resolution} pixels). The difference of
two texts' codes is an edit: `{facts.neutral_text}` -> `{facts.examples[0][1]}`.

## Use

```python
from huggingface_hub import hf_hub_download
from tmsa_core.weights.network_files import load_network

mapper = load_network("mapper", hf_hub_download("{repository}", "{FILE}"))
```

or put `{FILE}` into the folder of the domain's bundle and call `load_editor("{bundle.domain}")`.
It works with these networks only, named by their fingerprint:
`{bundle.fingerprint(("generator", "clip"))}` (generator and CLIP), `{bundle.fingerprint(("e4e",))}`
(e4e).

## How it was made

With TMSA {VERSION}, from the generator's own samples; no labels and no captions were used.

| | |
|---|---|
{chr(10).join(made)}

Architecture: `{numbers}`. Licence: {licence}. {bundle.notice}

## Limits

An edit can only do what both the generator draws and CLIP tells apart. Attributes that go together
in either may change together. Edit portraits only of people who agree, and say that they were
edited.
"""
    return "\n".join(header) + "\n" + body
