"""Typed client of a running page: its HTTP endpoints as Python functions.

The client needs ``gradio_client``, but neither torch nor the networks.
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
TIMEOUT = 120.0  # seconds without an answer; a busy page receives images slowly
Image = str | os.PathLike[str]


class RemoteError(TmsaError):
    """The page refused a request; the message is the page's."""


class _Target(TypedDict):
    target_text: str


class MoreEdit(_Target, total=False):
    """A further edit.

    Missing keys have the endpoint's defaults; ``neutral_text`` is that of the first edit.
    """

    neutral_text: str
    alpha: float
    levels: str
    threshold: float
    region: str


class DomainRow(TypedDict):
    """One domain; ``reason`` says why it is not available."""

    key: str
    title: str
    available: bool
    can_edit: bool
    reason: str
    notice: str
    missing: list[dict[str, Any]]


@dataclass(frozen=True)
class Alignment:
    """The faces of an image and the crop of one.

    Attributes:
        crop: File of the upright crop.
        faces: (left, top, right, bottom) of every face in pixels.
        quad: (x, y) of the crop's corners in the image, in pixels; None without a face.
    """

    crop: Path
    faces: list[list[float]]
    quad: list[list[float]] | None


@dataclass(frozen=True)
class Inversion:
    """An inverted image.

    Attributes:
        image: File of the generator's image of the latent code.
        w_plus: The latent code, L rows.
    """

    image: Path
    w_plus: list[list[float]]


@dataclass(frozen=True)
class BatchResult:
    """The results of a batch.

    Attributes:
        archive: File of the ZIP archive.
        rows: Result of each image, as in its ``scores.csv``.
    """

    archive: Path
    rows: list[dict[str, Any]]


class TmsaClient:
    """Calls a running page.

    Every method raises RemoteError with the page's message if the page refuses the request. Use
    the client in a ``with`` statement, or call ``close``.

    Args:
        address: The page's address.
        folder: Where result files go; None makes a temporary folder.
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
        region: str = "",
    ) -> Path:
        """Edit the face in an image by a pair of prompts.

        Args:
            image: Path of the image.
            neutral_text: Description of the image, such as "human face".
            target_text: Description of the result, such as "human face with glasses".
            alpha: Strength; 1 is the full edit, 0 none.
            levels: "all", "coarse", "medium", "fine", or indices such as "0,1,4".
            threshold: Share of the shift's smallest components to drop, in [0, 1).
            inversion: "e4e", "hfgi" or "sfe".
            face: Index of the face; 0 is the largest.
            aligned: Whether the image is an aligned crop.
            paste_back: Whether to return the whole photo, or the crop.
            notice: Whether to add a visible watermark.
            domain: Key of the domain; "" is the page's first.
            more_edits: Up to seven further edits, applied together with the first.
            region: Where the image may change: names such as "hair, beard", or a mask as a data
                URL; "" is everywhere.

        Returns:
            File of the edited image.
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
                region=region,
            )
        )

    def align(self, image: Image, face: int = 0, *, domain: str = "") -> Alignment:
        """Find the faces in an image and crop one of them upright; arguments as in ``edit``."""
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
        """Invert an image into the generator's latent space; arguments as in ``edit``."""
        path, code = self._call(
            "/invert",
            image=handle_file(str(image)),
            inversion=inversion,
            face=face,
            aligned=aligned,
            domain=domain,
        )
        return Inversion(Path(path), code["w_plus"])

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
        """Apply one edit at evenly spaced strengths -> alpha -> file of the edited crop."""
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
        """Generate the random image of a seed.

        ``truncation`` goes from 0, the average image, to 1, the most variety.
        """
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
        region: str = "",
    ) -> BatchResult:
        """Apply the same edits to many images or ZIP archives; arguments as in ``edit``.

        ``format`` is the results': "png", "jpg" or "webp".
        """
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
            region=region,
        )
        return BatchResult(Path(archive), rows)

    def domains(self) -> list[DomainRow]:
        """List the page's domains."""
        return self._call("/domains")

    def close(self) -> None:
        """End the session and delete the temporary folder."""
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
