"""The page of the study: a portrait, several edits of it, and one choice."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.evaluation.preference_study.items import Item, order_for, shuffle_for
from tmsa_core.evaluation.preference_study.votes import Votes, check_visitor
from tmsa_core.server.messages import inform, plain_markdown, toast_error

TITLE = "Which edit is best?"
LETTERS = "ABCDEFGH"
MOST_VOTES = 30  # of one visitor within PERIOD; people who look at the images make far fewer
PERIOD = 60  # seconds
HIDDEN: dict[str, Any] = {"api_name": False, "api_visibility": "private"}
CHOOSE_FIRST = "Choose an image first."
CHANGED = "The study no longer asks about those images; here are the next ones."
THANKS = "## Thank you\n\nThat was the last question; all your choices are saved."
STYLE = Path(__file__).with_name("study.css")
VISITOR = Path(__file__).with_name("visitor.js")


@dataclass(frozen=True)
class Question:
    """What the page shows next. key: the key of its item, empty after the last one."""

    heading: str
    images: str
    key: str
    letters: str


@dataclass(frozen=True)
class Study:
    """Items and the votes on them; stores nothing about a visitor except votes."""

    items: Sequence[Item]
    votes: Votes

    def next(self, visitor: str) -> Question:
        """Returns the first item in the visitor's order on which they have not voted.

        Raises:
            RequestError: The name of the visitor is invalid.
        """
        check_visitor(visitor)
        done = self.votes.items_of(visitor)
        order = order_for(visitor, self.items)
        left = [position for position in order if self.items[position].key not in done]
        if not left:
            return Question(THANKS, "", "", "")
        item = self.items[left[0]]
        shown = [item.images[k] for k in shuffle_for(visitor, item)]
        letters = LETTERS[: len(shown)]
        text = plain_markdown(item.target)
        return Question(
            f"## {len(order) - len(left) + 1} of {len(order)}: “{text}”\n\n"
            "Which image fits these words best and still shows the same person?",
            _figures(item.portrait, shown),
            item.key,
            letters,
        )

    def asks(self, key: str) -> bool:
        """Returns whether an item has this key; an old page may send the key of another study."""
        return any(item.key == key for item in self.items)

    def vote(self, visitor: str, key: str, letter: str) -> bool:
        """Stores a choice.

        Returns:
            False if the visitor has voted on this item before.

        Raises:
            RequestError: No image has this letter, the visitor has made ``MOST_VOTES`` choices
                within ``PERIOD`` seconds, or ``Votes.add`` fails.
        """
        check_visitor(visitor)
        if self.votes.recent(visitor, PERIOD) >= MOST_VOTES:
            raise RequestError(
                f"You have made {MOST_VOTES} choices within {PERIOD} seconds: look at the images "
                "for a while, and choose again."
            )
        item = next(item for item in self.items if item.key == key)
        shown = [item.methods[k] for k in shuffle_for(visitor, item)]
        letters = LETTERS[: len(shown)]
        if letter not in tuple(letters):
            raise RequestError(f"The choice is not one of {', '.join(letters)}: choose again.")
        return self.votes.add(visitor, item, shown, shown[LETTERS.index(letter)])


def _figures(portrait: str, shown: Sequence[str]) -> str:
    captions = ("before", *LETTERS[: len(shown)])
    figures = (
        f'<figure><img alt="{caption}" src="data:image/webp;base64,{image}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, image in zip(captions, (portrait, *shown), strict=True)
    )
    return f'<div class="study">{"".join(figures)}</div>'


@contextmanager
def _show_errors() -> Iterator[None]:
    """Shows a TmsaError, for example of a full disk, as a message; the page stays as it is."""
    try:
        yield
    except TmsaError as error:
        raise toast_error(gr.Error(str(error), print_exception=False)) from error


def build_study(study: Study) -> gr.Blocks:
    """Builds the page, ready for ``launch(css_paths=STYLE)``.

    The page contains the visitor and the item, and each visitor always sees the same letters.
    Therefore a reload continues at the same item, and a restarted server accepts votes of a page
    that it did not serve. A second click on the button has no effect, because no letter is chosen
    any more and the item has a vote already.
    """
    letters = list(LETTERS[: len(study.items[0].methods)])
    script = VISITOR.read_text(encoding="utf-8").partition("\n\n")[2]
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        token = gr.Textbox(visible="hidden", elem_id="visitor")
        key = gr.Textbox(visible="hidden", elem_id="item")
        gr.Markdown(f"# {TITLE}")
        heading = gr.Markdown()
        images = gr.HTML()
        choice = gr.Radio(letters, label="Your choice", elem_id="choice", visible=False)
        button = gr.Button("Choose", variant="primary", elem_id="choose", visible=False)
        outputs = [heading, images, key, choice, button]

        def show(visitor: str) -> tuple[object, ...]:
            question = study.next(visitor)
            asked = bool(question.key)
            return (
                question.heading,
                question.images,
                question.key,
                gr.update(value=None, visible=asked),
                gr.update(visible=asked),
            )

        def begin(visitor: str) -> tuple[object, ...]:
            visitor = visitor or secrets.token_hex(8)
            with _show_errors():
                return (visitor, *show(visitor))

        def choose(visitor: str, item: str, letter: str | None) -> tuple[object, ...]:
            if letter is None:
                inform(CHOOSE_FIRST)
                return tuple(gr.skip() for _ in outputs)
            with _show_errors():
                if study.asks(item):
                    study.vote(visitor, item, letter)
                else:
                    inform(CHANGED)
                return show(visitor)

        blocks.load(begin, token, [token, *outputs], js=script, **HIDDEN)
        button.click(choose, [token, key, choice], outputs, trigger_mode="once", **HIDDEN)
    return blocks
