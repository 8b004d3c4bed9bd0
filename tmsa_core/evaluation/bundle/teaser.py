"""Pictures of edits: the sheet of the six prompts, and the README's teaser and animation."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw, ImageFont

from tmsa_core.availability import first_inversion
from tmsa_core.avatars.params import Portraits
from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.evaluation.prompts import SIX
from tmsa_core.evaluation.subjects import render_portraits
from tmsa_core.imaging.animation import encode_animation, there_and_back
from tmsa_core.imaging.contact_sheet import contact_sheet
from tmsa_core.imaging.images import to_image
from tmsa_core.training.avatar.renders import held_out_portraits

NEUTRAL = "human face"
TEASER = {  # target text -> number of a held-out portrait, chosen by eye
    "human face with glasses": 7,
    "smiling human face": 2,
    "human face with a beard": 9,
    "human face with a hat": 10,
    "old human face": 5,
    "human face with blond hair": 1,
}
TEASER_SEED = 11
SIDE = 192  # px of an image in the teaser; six pairs in two rows are 1,200 px wide
LABEL = 30  # px below a pair
SPACE = 24  # px between pairs
SLIDER = ("human face with blond hair", 2)  # target text and portrait of the animation
SLIDER_SIDE = 264  # px
STEPS = 22  # frames from 0 to 1: with the pauses at both ends 3 s


def held_out_faces(editor: Editor, portraits: Portraits) -> list[PreparedFace]:
    """Renders portraits and inverts them as the app inverts images."""
    inversion = first_inversion(editor.bundle)
    images = render_portraits(portraits, editor.domain.resolution)
    return [editor.prepare(to_image(image), inversion, aligned=True) for image in images]


def six_prompts(editor: Editor, count: int = 10) -> Image.Image:
    """Returns ``count`` held-out portraits, their inversions and edits by the paper's prompts."""
    faces = held_out_faces(editor, held_out_portraits(count))
    requests = [EditRequest(prompt.neutral, prompt.target) for prompt in SIX]
    rows = [
        [face.crop, face.inversion_crop, *(editor.edit(face, r).crop for r in requests)]
        for face in faces
    ]
    titles = ("portrait", f"inversion ({faces[0].inversion})", *(prompt.name for prompt in SIX))
    return contact_sheet(rows, titles)


def teaser(editor: Editor) -> Image.Image:
    """Returns six before/after pairs with the target text below each, 1,200 px wide."""
    people = held_out_portraits(max(TEASER.values()) + 1, TEASER_SEED)
    faces = held_out_faces(editor, people[torch.tensor(list(TEASER.values()))])
    width, height = 2 * SIDE + SPACE, SIDE + LABEL
    sheet = Image.new("RGB", (3 * width - SPACE, 2 * height), "white")
    for i, (face, target) in enumerate(zip(faces, TEASER, strict=True)):
        left, top = i % 3 * width, i // 3 * height
        after = editor.edit(face, EditRequest(NEUTRAL, target)).crop
        sheet.paste(contact_sheet([[face.crop, after]], tile=SIDE, gap=0), (left, top))
        _text(sheet, (left + SIDE, top + SIDE + LABEL // 2), f"“{target}”")
    return sheet


def strength_animation(editor: Editor) -> bytes:
    """Returns a WebP animation of one edit whose strength goes from 0 to 1 and back in 3 s."""
    target, number = SLIDER
    people = held_out_portraits(number + 1, TEASER_SEED)
    (face,) = held_out_faces(editor, people[torch.tensor([number])])
    alphas = [i / (STEPS - 1) for i in range(STEPS)]
    requests = [EditRequest(NEUTRAL, target, alpha=alpha) for alpha in alphas]
    crops = [editor.edit(face, request).crop for request in requests]
    frames = [_slider_frame(crop, alpha) for crop, alpha in zip(crops, alphas, strict=True)]
    return encode_animation(there_and_back(frames), "webp")


def _slider_frame(crop: Image.Image, alpha: float) -> Image.Image:
    """Returns a crop with a slider at ``alpha`` below it."""
    side, left, right = SLIDER_SIDE, 20, SLIDER_SIDE - 66
    frame = Image.new("RGB", (side, side + 2 * LABEL), "white")
    frame.paste(crop.resize((side, side), Image.Resampling.LANCZOS), (0, 0))
    draw, y = ImageDraw.Draw(frame), side + LABEL // 2
    x = left + alpha * (right - left)
    draw.line((left, y, right, y), "#d4d4d8", 5)
    draw.line((left, y, x, y), "#4f46e5", 5)
    draw.ellipse((x - 8, y - 8, x + 8, y + 8), "#4f46e5")
    _text(frame, (side - 30, y), f"{alpha:.2f}")
    _text(frame, (side // 2, side + LABEL + LABEL // 3), f"“{SLIDER[0]}”")
    return frame


def _text(image: Image.Image, centre: tuple[int, int], text: str) -> None:
    font = ImageFont.load_default(15)
    ImageDraw.Draw(image).text(centre, text, "black", font, anchor="mm")
