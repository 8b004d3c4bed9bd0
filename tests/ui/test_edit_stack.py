"""The stack of edits, its undo history and its HTML, as values."""

from __future__ import annotations

import pytest

from tmsa_core import EditRequest
from tmsa_core.errors import RequestError
from tmsa_core.ui.edit_stack import History, Stack, new_history
from tmsa_core.ui.html import stack_html
from tmsa_core.validation import MAX_LAYERS

A, B, C = (EditRequest("human face", text) for text in ("a", "b", "c"))


@pytest.fixture
def stack() -> Stack:
    return new_history([A, B, C]).now


def texts(stack: Stack) -> str:
    return "".join(layer.request.target_text for layer in stack.layers)


def test_chosen_edit_stays_chosen_when_edits_move(stack: Stack) -> None:
    assert stack.chosen == 2
    up = stack.act("up", 2)
    assert texts(up) == "acb" and up.request == C
    down = up.act("down", 0)
    assert texts(down) == "cab" and down.request == C
    assert down.act("up", 0) == down and down.act("down", 2) == down


def test_removing_an_edit_chooses_another(stack: Stack) -> None:
    assert texts(stack.act("remove", 2)) == "ab" and stack.act("remove", 2).request == B
    assert stack.act("remove", 0).request == C
    one = stack.act("remove", 2).act("remove", 1)
    assert texts(one.act("remove", 0)) == "a" and one.act("remove", 0).active == ()


def test_switched_off_edits_are_not_active(stack: Stack) -> None:
    assert stack.act("toggle", 1).active == (A, C)
    assert stack.act("toggle", 1).act("toggle", 1) == stack
    assert stack.act("toggle", 2).with_request(C).active == (A, B, C)


def test_stack_refuses_unknown_edits_and_actions(stack: Stack) -> None:
    for action, index in (("choose", 3), ("toggle", -1), ("up", 9), ("explode", 0)):
        with pytest.raises(RequestError):
            stack.act(action, index)
    full = new_history([A] * MAX_LAYERS).now
    with pytest.raises(RequestError, match="remove one"):
        full.add(B)


def test_history_goes_back_and_forth(stack: Stack) -> None:
    history = History(stack)
    assert history.undo() == history and history.redo() == history
    one = history.do(stack.choose(0)).do(stack.choose(1))
    assert one.undo().now == stack.choose(0) and one.undo().undo().now == stack
    assert one.undo().redo().now == stack.choose(1)
    assert one.undo().do(stack.choose(2)).redo().now == stack.choose(2)
    assert one.do(one.now) is one


def test_successive_steps_of_one_kind_are_undone_together(stack: Stack) -> None:
    history = History(stack)
    for alpha in (0.1, 0.2, 0.3):
        history = history.do(stack.with_request(EditRequest("human face", "c", alpha)), "alpha")
    assert history.undo().now == stack
    assert history.do(stack.choose(0), "other").undo().now.request.alpha == 0.3


def test_stack_html_is_escaped_and_labelled_for_screen_readers(stack: Stack) -> None:
    html = stack_html(stack.act("toggle", 0).with_request(EditRequest("x", '<i>"')))
    assert html.count("<li") == 3 and "<i>" not in html
    assert 'aria-label="Move edit 2, b up"' in html and 'aria-label="Remove edit 1, a"' in html
