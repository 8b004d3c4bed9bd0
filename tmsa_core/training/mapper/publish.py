"""Publication of a mapper on the Hugging Face Hub, with a model card."""

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
    """Upload a bundle's mapper and its model card.

    Args:
        bundle: Its mapper is published.
        repository: Name of the repository on the Hub, "user/name".
        private: Whether only its owner can see it.
        endpoint: Address of the Hub, if not huggingface_hub's own.
        token: Access token, if not huggingface_hub's own.

    Returns:
        The address of the repository.

    Raises:
        BundleError: If the bundle has no mapper.
        RequestError: If the name is invalid or the upload fails.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise RequestError(
            f"{quoted(repository)} is not the name of a repository: use USER/NAME with "
            "letters, digits, . - _."
        ) from error
    api = HfApi(endpoint=endpoint, token=token)
    with TemporaryDirectory() as folder:
        write_publication(bundle, Path(folder), repository)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            message = f"TMSA mapper for {bundle.domain}"
            done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        # ValueError: an invalid address or token. RuntimeError: a failed upload of a large file.
        except (*network_errors(), OSError, ValueError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise RequestError(
                f"The upload to {repository} failed ({reason}): check the network, and log in with "
                "`hf auth login`."
            ) from error
    return str(done.commit_url).partition("/commit/")[0]


def write_publication(bundle: Bundle, folder: Path, repository: str) -> list[Path]:
    """Write the files of a publication, the mapper and its model card, to ``folder``.

    Returns:
        The paths of the files.

    Raises:
        BundleError: If the bundle has no mapper.
    """
    source = bundle.path("mapper")
    card = model_card(bundle, read_metadata(source), repository)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / FILE)
    (folder / CARD).write_text(card)
    return [folder / CARD, folder / FILE]


def model_card(bundle: Bundle, metadata: Mapping[str, object], repository: str) -> str:
    """The model card in Markdown, with the YAML header that the Hub reads."""
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

Maps CLIP embeddings of images or texts to latent codes (W+, {facts.levels} x 512) of the StyleGAN2
generator of the domain `{bundle.domain}` ({facts.resolution} pixels). The difference of the codes
of two texts is an edit: `{facts.neutral_text}` -> `{facts.examples[0][1]}`.

## Use

```python
from huggingface_hub import hf_hub_download
from tmsa_core.weights.network_files import load_network

mapper = load_network("mapper", hf_hub_download("{repository}", "{FILE}"))
```

or put `{FILE}` into the folder of the domain's bundle and call `load_editor("{bundle.domain}")`.
It works only with the networks that have these fingerprints:
`{bundle.fingerprint(("generator", "clip"))}` (generator and CLIP), `{bundle.fingerprint(("e4e",))}`
(e4e).

## How it was made

With TMSA {VERSION}, from the generator's own samples; no labels and no captions were used.

| | |
|---|---|
{chr(10).join(made)}

Architecture: `{numbers}`. Licence: {licence}. {bundle.notice}

## Limits

An edit can only change what the generator can synthesise and CLIP can distinguish. Attributes that
are correlated in either may change together. Edit portraits only of people who agree, and say that
they were edited.
"""
    return "\n".join(header) + "\n" + body
