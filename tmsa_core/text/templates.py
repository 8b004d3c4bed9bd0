"""CLIP's 80 prompt templates for ImageNet (Radford et al. 2021).

The mean embedding of a text over many wordings depends little on the wording.
"""

from __future__ import annotations

from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

from tmsa_core.text.cleaning import clean_text

TEMPLATES: tuple[str, ...] = tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)


def prompt_bank(text: str) -> list[str]:
    """The cleaned text in each of the 80 templates, in their order.

    Raises:
        TextError: As in ``clean_text``.
    """
    cleaned = clean_text(text)
    return [template.replace("{}", cleaned) for template in TEMPLATES]
