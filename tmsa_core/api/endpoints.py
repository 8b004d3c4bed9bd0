"""The named HTTP endpoints of the app; the server keeps nothing between two calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image

from tmsa_core.api.values import edit_list, stacked, text_region
from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.editing.archives import count_entries
from tmsa_core.editing.batch import BatchOptions, run_batch
from tmsa_core.editing.editor import TRUNCATION, Editor
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.imaging.metadata import add_watermark, annotate, encode_png
from tmsa_core.server.call_files import FileList
from tmsa_core.server.editors import Editors
from tmsa_core.server.events import LONG, MODEL, image_input, show_errors
from tmsa_core.server.fair_queue import is_awaited
from tmsa_core.server.file_leases import Leases, write_cached
from tmsa_core.server.files import check_bytes, received
from tmsa_core.validation import check_flag, number, parse_levels, strengths, whole


@dataclass(frozen=True)
class Endpoints:
    """The functions that scripts call.

    Attributes:
        editors: Of all domains.
        leases: The files of calls and of their results.
    """

    editors: Editors
    leases: Leases = field(default_factory=Leases)

    def edit(
        self,
        image: Any,
        neutral_text: str,
        target_text: str,
        alpha: float = 1.0,
        levels: str = "all",
        threshold: float = 0.0,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        paste_back: bool = True,
        notice: bool = False,
        domain: str = "",
        more_edits: Any = (),
        region: str = "",
    ) -> Image:
        """Edit the face in an image by two texts, or by several such edits at once.

        Args:
            image: The image (PNG, JPEG, WebP ...), uploaded, or as a data URL such as
                "data:image/png;base64,..."; other addresses are not fetched.
            neutral_text: What the image shows, such as "human face".
            target_text: What it should show, such as "human face with glasses".
            alpha: Strength from -10 to 10; 1 is the full edit, 0 none, below 0 the opposite.
            levels: Which latent levels move: all, coarse, medium, fine, or indices like "0,1,4".
            threshold: Share of the shift's smallest components to leave out, from 0 to below 1.
            inversion: How the image is brought into the latent space: e4e, or hfgi or sfe
                (more detail) where the domain has it.
            face: Which face to edit where there are several; 0 is the largest.
            aligned: Whether the image already is an aligned crop of a face.
            paste_back: Whether to return the whole image, or the edited crop alone.
            notice: Whether to write on the image that it is edited.
            domain: Which domain, as listed by `domains`; empty for the app's own.
            more_edits: Further edits, applied together with the first: a list of up to 7 objects
                with target_text and, where wanted, neutral_text, alpha, levels, threshold and
                region, such as [{"target_text": "old human face", "alpha": 0.5}].
            region: Where the image may change: "" for everywhere; names from face, eyes, brows,
                mouth, beard, hair, skin and background, several of them with commas; or a mask of
                the image's size as a data URL, white where it may change.

        Returns:
            The edited image. Its metadata holds the recipe and notes, such as words that the text
            encoder does not know.
        """
        editor = self.editors.get(domain)
        first = _request(neutral_text, target_text, alpha, levels, threshold, paste_back, region)
        requests = stacked(first, more_edits)
        prepared = _prepare(editor, image, inversion, face, aligned)
        result = editor.edit(prepared, requests)
        edited = add_watermark(result.image) if notice else result.image
        notes = {"notes": list(result.notes)} if result.notes else {}
        return annotate(edited, editor.recipe(requests, inversion) | notes)

    def align(self, image: Any, face: int = 0, domain: str = "") -> tuple[Image, dict[str, Any]]:
        """Find the faces in an image and crop one of them upright.

        Args:
            image: The image, uploaded or as a data URL; other addresses are not fetched.
            face: Which face to crop where there are several; 0 is the largest.
            domain: Which domain, as listed by `domains`; empty for the app's own.

        Returns:
            The aligned crop, and a table: the faces' boxes (left, top, right, bottom) in pixels,
            and the corners of the crop in the image.
        """
        found = self.editors.aligner(domain).align(_given(image), whole(face, "face"))
        table = {
            "faces": [[round(edge, 1) for edge in one.box] for one in found.faces],
            "quad": found.transform.quad,
            "size": found.crop.width,
        }
        return found.crop, table

    def invert(
        self,
        image: Any,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        domain: str = "",
    ) -> tuple[Image, dict[str, Any]]:
        """Bring an image into the generator's latent space.

        Args:
            image: The image, uploaded or as a data URL; other addresses are not fetched.
            inversion: How: e4e, or hfgi or sfe where the domain has it.
            face: Which face where there are several; 0 is the largest.
            aligned: Whether the image already is an aligned crop of a face.
            domain: Which domain, as listed by `domains`; empty for the app's own.

        Returns:
            The generator's image of the code, and the code: w_plus, of shape (levels, 512).
        """
        editor = self.editors.get(domain)
        prepared = _prepare(editor, image, inversion, face, aligned)
        code = {"domain": prepared.domain, "w_plus": prepared.w_plus.tolist()}
        return _generated(editor, prepared.inversion_crop), code

    def sweep(
        self,
        image: Any,
        neutral_text: str,
        target_text: str,
        alpha_from: float = -1.0,
        alpha_to: float = 2.0,
        steps: int = 7,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        domain: str = "",
    ) -> list[tuple[Image, str]]:
        """Make the same edit at evenly spaced strengths.

        Args:
            image: The image, uploaded or as a data URL; other addresses are not fetched.
            neutral_text: What the image shows.
            target_text: What it should show.
            alpha_from: The first strength.
            alpha_to: The last strength.
            steps: How many, from 2 to 15.
            inversion: How the image is brought into the latent space: e4e, or hfgi or sfe
                (more detail) where the domain has it.
            face: Which face where there are several; 0 is the largest.
            aligned: Whether the image already is an aligned crop of a face.
            domain: Which domain, as listed by `domains`; empty for the app's own.

        Returns:
            The edited crops, each with its strength as caption.
        """
        editor = self.editors.get(domain)
        requests = [
            EditRequest(neutral_text or "", target_text or "", alpha, paste_back=False)
            for alpha in strengths(alpha_from, alpha_to, steps)
        ]
        prepared = _prepare(editor, image, inversion, face, aligned)
        results = editor.edit_many([prepared] * len(requests), requests)
        return [
            (annotate(result.crop, editor.recipe([request], inversion)), f"{request.alpha:g}")
            for request, result in zip(requests, results, strict=True)
        ]

    def batch(  # noqa: D417 (Gradio, not the caller, gives the progress)
        self,
        files: Any,
        neutral_text: str,
        target_text: str,
        alpha: float = 1.0,
        levels: str = "all",
        threshold: float = 0.0,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
        format: str = "png",
        notice: bool = False,
        domain: str = "",
        more_edits: Any = (),
        region: str = "",
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> tuple[str, list[dict[str, Any]]]:
        """Edit many images in the same way; an image that fails does not stop the others.

        Args:
            files: Images and ZIP archives of images, uploaded; addresses are not fetched.
            neutral_text: What the images show, such as "human face".
            target_text: What they should show, such as "human face with glasses".
            alpha: Strength from -10 to 10; 1 is the full edit.
            levels: Which latent levels move: all, coarse, medium, fine, or indices like "0,1,4".
            threshold: Share of the shift's smallest components to leave out, from 0 to below 1.
            inversion: How the images are brought into the latent space: e4e, or hfgi or sfe
                (more detail) where the domain has it.
            face: Which face to edit where there are several; 0 is the largest.
            aligned: Whether the images already are aligned crops of faces.
            format: Of the edited images: png, jpg or webp.
            notice: Whether to write on each image that it is edited.
            domain: Which domain, as listed by `domains`; empty for the app's own.
            more_edits: Further edits of each image, as in `edit`.
            region: Where the images may change, as in `edit`.

        Returns:
            A ZIP archive with the edited images, scores.csv and recipe.json, and the scores as
            a table, one row per image.
        """
        paths = [Path(file) for file in files or ()]
        first = _request(neutral_text, target_text, alpha, levels, threshold, True, region)
        requests = stacked(first, more_edits)
        options = BatchOptions(str(inversion), whole(face, "face"), aligned, str(format), notice)
        out = self.leases.new_folder() / "edited.zip"
        rows = []
        work = run_batch(self.editors.get(domain), paths, requests, out, options)
        count = count_entries(paths)
        with closing(work):
            for row in work:
                rows.append(asdict(row))
                progress((len(rows), count), desc="Editing", unit="images")
                if not is_awaited():
                    raise RequestError("The batch ended because its caller left.")
        return str(out), rows

    def sample(self, seed: int = 0, truncation: float = TRUNCATION, domain: str = "") -> Image:
        """Draw a random portrait from the generator.

        Args:
            seed: The same seed gives the same portrait.
            truncation: From 0 (always the average face) to 1 (the most varied).
            domain: Which domain, as listed by `domains`; empty for the app's own.

        Returns:
            The portrait.
        """
        editor = self.editors.get(domain)
        prepared = editor.sample(whole(seed, "seed"), number(truncation, "truncation"))
        return _generated(editor, prepared.crop)

    def domains(self) -> list[dict[str, Any]]:
        """List the domains, with a reason for each that cannot be used.

        Returns:
            One row per domain: key, title, available (images can be inverted), can_edit (a
            mapping network is there too), reason, notice (what the licences ask), and missing,
            the files to be downloaded: name, bytes, licence.
        """
        return [
            {
                "key": d.key,
                "title": d.title,
                "available": d.available,
                "can_edit": d.can_edit,
                "reason": d.reason,
                "notice": d.notice,
                "missing": [
                    {"name": m.name, "bytes": m.bytes, "licence": m.licence} for m in d.missing
                ],
            }
            for d in self.editors.statuses()
        ]


def _prepare(editor: Editor, image: Any, inversion: str, face: int, aligned: bool) -> PreparedFace:
    return editor.prepare(
        _given(image), inversion=inversion, face=whole(face, "face"), aligned=aligned
    )


def _given(image: Any) -> Any:
    if image is None:
        raise ImageError("There is no image; send a PNG, JPEG or WebP file as `image`.")
    if isinstance(image, str):
        check_bytes(image)
    return image


def _request(
    neutral_text: str,
    target_text: str,
    alpha: Any,
    levels: str,
    threshold: Any,
    paste_back: Any,
    region: Any,
) -> EditRequest:
    return EditRequest(
        neutral_text=neutral_text or "",
        target_text=target_text or "",
        alpha=number(alpha, "alpha"),
        levels=parse_levels(levels),
        threshold=number(threshold, "threshold"),
        paste_back=check_flag(paste_back, "paste_back"),
        region=text_region(region),
    )


def _generated(editor: Editor, crop: Image) -> Image:
    return annotate(crop, editor.recipe([]), edited=False)


def as_files(value: Any, leases: Leases) -> Any:
    """Return a value with every image in it replaced by the path of a new file."""
    if isinstance(value, Image):
        path = leases.new_folder() / "image.png"
        write_cached(path, encode_png(value))
        return str(path)
    if isinstance(value, (list, tuple)):
        return type(value)(as_files(item, leases) for item in value)
    return value


def files_in(value: Any) -> list[str]:
    """Return the paths in the result of an endpoint."""
    if isinstance(value, str):
        return [value] if Path(value).is_absolute() else []
    if isinstance(value, (list, tuple)):
        return [path for item in value for path in files_in(item)]
    return []


def add_endpoints(endpoints: Endpoints) -> None:
    """Register the public endpoints on the surrounding Blocks, on hidden components."""
    with gr.Column(visible=False):
        image = image_input(received, label="image")
        files = FileList(label="files")
        texts = [gr.Textbox(label="neutral_text"), gr.Textbox(label="target_text")]
        alpha = gr.Number(1.0, label="alpha")
        levels = gr.Textbox("all", label="levels")
        threshold = gr.Number(0.0, label="threshold")
        inversion = gr.Textbox("e4e", label="inversion")
        face = gr.Number(0, label="face")
        aligned = gr.Checkbox(False, label="aligned")
        paste_back = gr.Checkbox(True, label="paste_back")
        notice = gr.Checkbox(False, label="notice")
        domain = gr.Textbox("", label="domain")
        more = edit_list(label="more_edits")
        region = gr.Textbox("", label="region")
        kind = gr.Textbox("png", label="format")
        alpha_range = [gr.Number(-1.0, label="alpha_from"), gr.Number(2.0, label="alpha_to")]
        steps = gr.Number(7, label="steps")
        seed = gr.Number(0, label="seed")
        truncation = gr.Number(TRUNCATION, label="truncation")
        result_image = gr.Image(format="png", label="image")
        archive = gr.File(label="archive")
        table = gr.JSON(label="table")
        gallery = gr.Gallery(format="png", label="images")
        call = gr.Button()

    leases = endpoints.leases
    where = [inversion, face, aligned]
    how = [alpha, levels, threshold, *where]
    edit_inputs = [image, *texts, *how, paste_back, notice, domain, more, region]
    sweep_inputs = [image, *texts, *alpha_range, steps, *where, domain]
    batch_inputs = [files, *texts, *how, kind, notice, domain, more, region]
    _publish(leases, call, endpoints.edit, "edit", edit_inputs, result_image)
    _publish(leases, call, endpoints.align, "align", [image, face, domain], [result_image, table])
    _publish(
        leases, call, endpoints.invert, "invert", [image, *where, domain], [result_image, table]
    )
    _publish(leases, call, endpoints.sweep, "sweep", sweep_inputs, gallery)
    _publish(leases, call, endpoints.sample, "sample", [seed, truncation, domain], result_image)
    _publish(leases, call, endpoints.batch, "batch", batch_inputs, [archive, table], LONG)
    _publish(leases, call, endpoints.domains, "domains", [], table)


def _publish(
    leases: Leases,
    call: gr.Button,
    function: Callable[..., Any],
    name: str,
    inputs: Sequence[gr.components.Component],
    outputs: gr.components.Component | Sequence[gr.components.Component],
    group: str = MODEL,
) -> None:
    @wraps(function)
    def endpoint(*args: Any) -> Any:
        answer = as_files(show_errors(function)(*args), leases)
        leases.answer(*files_in(answer))
        return answer

    call.click(
        endpoint,
        list(inputs),
        outputs,
        api_name=name,
        concurrency_id=group,
        concurrency_limit=1,
        trigger_mode="multiple",
    )
