"""The study's page: one portrait, some edits of it, one choice. ``build_study`` starts nothing."""

from __future__ import annotations

import html
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.study.items import Item, order_for, shuffle_for
from tmsa_core.study.votes import Votes

TITLE = "Which edit is best?"
LETTERS = "ABCDEFGH"
HIDDEN: dict[str, Any] = {"api_name": False, "api_visibility": "private"}
ASK = "Choose a picture first."
THANKS = "## Thank you\n\nThat was the last one; every choice has been kept."
CSS = """
.study { display: flex; flex-wrap: wrap; gap: 12px; }
.study figure { margin: 0; flex: 1 1 140px; max-width: 220px; }
.study img { width: 100%; border-radius: 6px; image-rendering: auto; }
.study figcaption { text-align: center; font-weight: 600; padding-top: 4px; }
"""


@dataclass(frozen=True)
class Question:
    """What the page shows next. choices: (letter, value) pairs; a value names its item too."""

    heading: str
    pictures: str
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Study:
    """Items and the votes on them; keeps nothing of a visitor but the votes."""

    items: Sequence[Item]
    votes: Votes

    def next(self, visitor: str) -> Question:
        """The first item of the visitor's own order that has no vote of theirs yet."""
        done = self.votes.items_of(visitor)
        order = order_for(visitor, self.items)
        left = [position for position in order if self.items[position].key not in done]
        if not left:
            return Question(THANKS, "", ())
        item = self.items[left[0]]
        shown = [item.pictures[k] for k in shuffle_for(visitor, item)]
        letters = LETTERS[: len(shown)]
        text = html.escape(item.target)
        return Question(
            f"## {len(order) - len(left) + 1} of {len(order)}: “{text}”\n\n"
            "Which picture fits these words best and still shows the same person?",
            _figures(item.portrait, shown),
            tuple((letter, f"{left[0]}/{letter}") for letter in letters),
        )

    def vote(self, visitor: str, value: str) -> bool:
        """Keep a choice, a value of ``Question.choices``; False if it had been made before."""
        position, _, letter = value.partition("/")
        item = self.items[int(position)]
        shown = [item.methods[k] for k in shuffle_for(visitor, item)]
        return self.votes.add(visitor, item, shown, shown[LETTERS.index(letter)])


def _figures(portrait: str, shown: Sequence[str]) -> str:
    captions = ("before", *LETTERS[: len(shown)])
    figures = (
        f'<figure><img alt="{caption}" src="data:image/webp;base64,{picture}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, picture in zip(captions, (portrait, *shown), strict=True)
    )
    return f'<div class="study">{"".join(figures)}</div>'


def build_study(study: Study) -> gr.Blocks:
    """The page, ready for ``launch(css=CSS)``.

    A random token in the browser's storage says who votes, so that a reload goes on where it was.
    The choice is made by a letter and a button: the second click of a double click finds no letter
    chosen, and a value that arrives twice names an item that has its vote.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        token = gr.BrowserState("", storage_key="tmsa-study", secret="tmsa-study")
        gr.Markdown(f"# {TITLE}")
        heading = gr.Markdown()
        pictures = gr.HTML()
        choice = gr.Radio([], label="Your choice", elem_id="choice")
        button = gr.Button("Choose", variant="primary", elem_id="choose")
        outputs = [heading, pictures, choice, button]

        def show(visitor: str) -> tuple[object, ...]:
            question = study.next(visitor)
            asked = bool(question.choices)
            return (
                question.heading,
                question.pictures,
                gr.update(choices=list(question.choices), value=None, visible=asked),
                gr.update(visible=asked),
            )

        def begin(visitor: str) -> tuple[object, ...]:
            visitor = visitor or secrets.token_hex(8)
            return (visitor, *show(visitor))

        def choose(visitor: str, value: str | None) -> tuple[object, ...]:
            if value is None:
                gr.Info(ASK)
                return tuple(gr.skip() for _ in outputs)
            study.vote(visitor, value)
            return show(visitor)

        blocks.load(begin, token, [token, *outputs], **HIDDEN)
        button.click(choose, [token, choice], outputs, trigger_mode="once", **HIDDEN)
    return blocks
