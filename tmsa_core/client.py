"""A typed client of a running page: the HTTP endpoints as Python functions.

It needs ``gradio_client`` and nothing else of this package's requirements: no networks, no torch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tmsa_core.errors import TmsaError

LOCAL = "http://127.0.0.1:7860"
TIMEOUT = 120.0  # seconds without an answer; a busy page takes its time to receive an image
Image = str | os.PathLike[str]


class RemoteError(TmsaError):
    """The page refused a request; the message is the page's own."""


class _Target(TypedDict):
    target_text: str


class MoreEdit(_Target, total=False):
    """A further edit; what is left out is as in the endpoint, neutral_text as in the first edit."""

    neutral_text: str
    alpha: float
    levels: str
    threshold: float


class DomainRow(TypedDict):
    """One world of images, and why it cannot be used where it cannot."""

    key: str
    title: str
    available: bool
    can_edit: bool
    reason: str
    notice: str
    missing: list[dict[str, Any]]


@dataclass(frozen=True)
class Alignment:
    """crop: the file of the upright crop. faces: (left, top, right, bottom) of every face, in
    pixels. quad: the crop's corners in the image."""

    crop: Path
    faces: list[list[float]]
    quad: list[list[float]] | None


@dataclass(frozen=True)
class Inversion:
    """image: the file of what the generator makes of the code. w_plus: the code, L rows."""

    image: Path
    w_plus: list[list[float]]


@dataclass(frozen=True)
class BatchResult:
    """archive: the file of the ZIP. rows: how each image fared, as in its scores.csv."""

    archive: Path
    rows: list[dict[str, Any]]


class TmsaClient:
    """Calls a page at ``address``; results are files in ``folder``, by default a temporary one.

    Every method raises RemoteError, with the page's sentence, where the page cannot do it. Use it
    in a ``with`` statement, or call ``close``.
    """

    def __init__(self, address: str = LOCAL, folder: str | Path | None = None) -> None:
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="tmsa-")
        self.folder = Path(folder or self._temporary.name)
        self._client = Client(
            address,
            verbose=False,
            download_files=self.folder,
            analytics_enabled=False,
            httpx_kwargs={"timeout": TIMEOUT},
        )

    def edit(
        self,
        image: Image,
        neutral_text: str,
        target_text: str,
        alpha: float = 1.0,
        *,
        levels: str = "all",
        threshold: float = 0.0,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        paste_back: bool = True,
        notice: bool = False,
        domain: str = "",
        more_edits: Sequence[MoreEdit] = (),
    ) -> Path:
        """Edit the face in an image by two texts; the file of the edited image.

        more_edits: further edits, applied together with the first, up to seven.
        """
        return Path(
            self._call(
                "/edit",
                image=handle_file(str(image)),
                neutral_text=neutral_text,
                target_text=target_text,
                alpha=alpha,
                levels=levels,
                threshold=threshold,
                inversion=inversion,
                face=face,
                aligned=aligned,
                paste_back=paste_back,
                notice=notice,
                domain=domain,
                more_edits=list(more_edits),
            )
        )

    def align(self, image: Image, face: int = 0, *, domain: str = "") -> Alignment:
        """Find the faces in an image and crop one of them upright."""
        crop, found = self._call("/align", image=handle_file(str(image)), face=face, domain=domain)
        return Alignment(Path(crop), found["faces"], found["quad"])

    def invert(
        self,
        image: Image,
        inversion: str = "e4e",
        *,
        face: int = 0,
        aligned: bool = False,
        domain: str = "",
    ) -> Inversion:
        """Bring a result_path into the generator's latent space."""
        result_path, code = self._call(
            "/invert",
            image=handle_file(str(image)),
            inversion=inversion,
            face=face,
            aligned=aligned,
            domain=domain,
        )
        return Inversion(Path(result_path), code["w_plus"])

    def sweep(
        self,
        image: Image,
        neutral_text: str,
        target_text: str,
        alpha_from: float = -1.0,
        alpha_to: float = 2.0,
        steps: int = 7,
        *,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        domain: str = "",
    ) -> dict[float, Path]:
        """The same edit at evenly spaced strengths: the file of each strength's crop."""
        gallery = self._call(
            "/sweep",
            image=handle_file(str(image)),
            neutral_text=neutral_text,
            target_text=target_text,
            alpha_from=alpha_from,
            alpha_to=alpha_to,
            steps=steps,
            inversion=inversion,
            face=face,
            aligned=aligned,
            domain=domain,
        )
        return {float(item["caption"]): Path(item["image"]) for item in gallery}

    def sample(self, seed: int = 0, truncation: float = 0.7, *, domain: str = "") -> Path:
        """Draw a portrait of nobody; the same seed gives the same one."""
        return Path(self._call("/sample", seed=seed, truncation=truncation, domain=domain))

    def batch(
        self,
        files: Iterable[Image],
        neutral_text: str,
        target_text: str,
        alpha: float = 1.0,
        *,
        levels: str = "all",
        threshold: float = 0.0,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        format: str = "png",
        notice: bool = False,
        domain: str = "",
        more_edits: Sequence[MoreEdit] = (),
    ) -> BatchResult:
        """Edit many images (or ZIP archives of them) alike, into one archive."""
        archive, rows = self._call(
            "/batch",
            files=[handle_file(str(file)) for file in files],
            neutral_text=neutral_text,
            target_text=target_text,
            alpha=alpha,
            levels=levels,
            threshold=threshold,
            inversion=inversion,
            face=face,
            aligned=aligned,
            format=format,
            notice=notice,
            domain=domain,
            more_edits=list(more_edits),
        )
        return BatchResult(Path(archive), rows)

    def domains(self) -> list[DomainRow]:
        """The worlds of images that the page knows."""
        return self._call("/domains")

    def close(self) -> None:
        """End the session; a temporary folder goes with it."""
        self._client.close()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> TmsaClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, endpoint: str, **values: Any) -> Any:
        try:
            return self._client.predict(api_name=endpoint, **values)
        except AppError as error:
            raise RemoteError(str(error)) from error
