"""Immutable values: the stack of edits that apply together, and its undo history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import RequestError, quoted
from tmsa_core.validation import MAX_LAYERS, check_alpha, check_threshold, is_whole

MAX_UNDO_STEPS = 100


@dataclass(frozen=True)
class Layer:
    """One edit of the stack, switched on or off."""

    request: EditRequest
    on: bool = True

    def __post_init__(self) -> None:
        """Refuse an invalid strength or threshold with RequestError."""
        check_alpha(self.request.alpha)
        check_threshold(self.request.threshold)


@dataclass(frozen=True)
class Stack:
    """Edits in order of application.

    Args:
        layers: The edits, at least one.
        chosen: Index of the edit that the controls show.
    """

    layers: tuple[Layer, ...]
    chosen: int = 0

    @property
    def request(self) -> EditRequest:
        """The chosen edit."""
        return self.layers[self.chosen].request

    @property
    def active(self) -> tuple[EditRequest, ...]:
        """The edits that are switched on."""
        return tuple(layer.request for layer in self.layers if layer.on)

    def with_request(self, request: EditRequest) -> Stack:
        """Replace the chosen edit and switch it on."""
        return self._with_layers(self.chosen, Layer(request))

    def add(self, request: EditRequest) -> Stack:
        """Append an edit and choose it; RequestError if the stack is full."""
        if len(self.layers) >= MAX_LAYERS:
            raise RequestError(f"There are {MAX_LAYERS} edits already; remove one first.")
        return Stack((*self.layers, Layer(request)), len(self.layers))

    def choose(self, index: int) -> Stack:
        """Choose another edit."""
        return replace(self, chosen=self._checked(index))

    def toggle(self, index: int) -> Stack:
        """Switch an edit on or off."""
        layer = self.layers[self._checked(index)]
        return self._with_layers(index, replace(layer, on=not layer.on))

    def move(self, index: int, by: int) -> Stack:
        """Move an edit up (by=-1) or down (by=1); the same edit stays chosen."""
        other = index + by
        if not 0 <= other < len(self.layers):
            return self
        layers = list(self.layers)
        layers[index], layers[other] = layers[other], layers[index]
        moved = {index: other, other: index}
        return Stack(tuple(layers), moved.get(self.chosen, self.chosen))

    def remove(self, index: int) -> Stack:
        """Remove an edit; the only edit is switched off instead."""
        self._checked(index)
        if len(self.layers) == 1:
            return self._with_layers(0, replace(self.layers[0], on=False))
        layers = self.layers[:index] + self.layers[index + 1 :]
        chosen = self.chosen - (self.chosen > index or self.chosen == len(layers))
        return Stack(layers, chosen)

    def act(self, action: str, index: int) -> Stack:
        """Do what a button of ``stack_html`` asks for.

        Args:
            action: "choose", "toggle", "up", "down" or "remove".
            index: Index of the edit.

        Returns:
            The changed stack.

        Raises:
            RequestError: The action is unknown, or no edit has this index.
        """
        if action == "up":
            return self.move(self._checked(index), -1)
        if action == "down":
            return self.move(self._checked(index), 1)
        actions = {"choose": self.choose, "toggle": self.toggle, "remove": self.remove}
        if not isinstance(action, str) or action not in actions:
            raise RequestError(f"An edit has no action {quoted(action)}.")
        return actions[action](index)

    def with_alpha(self, alpha: float, index: int) -> Stack:
        """Set the strength of an edit and switch it on; no change if it has this strength."""
        request = self.layers[self._checked(index)].request
        if request.alpha == alpha:
            return self
        return self._with_layers(index, Layer(replace(request, alpha=alpha)))

    def _with_layers(self, index: int, layer: Layer) -> Stack:
        return replace(self, layers=(*self.layers[:index], layer, *self.layers[index + 1 :]))

    def _checked(self, index: int) -> int:
        if not is_whole(index) or not 0 <= index < len(self.layers):
            raise RequestError(f"There is no edit with the index {quoted(index)}; reload the page.")
        return index


@dataclass(frozen=True)
class History:
    """The stack with its undo and redo steps.

    Args:
        now: The current stack.
        past: Earlier stacks, oldest first.
        future: Undone stacks, next redo first.
        kind: Kind of the last step. Consecutive steps of one kind, such as those of one drag of
            the slider, are undone together.
    """

    now: Stack
    past: tuple[Stack, ...] = ()
    future: tuple[Stack, ...] = ()
    kind: str = ""

    def do(self, stack: Stack, kind: str = "") -> History:
        """Add a step, or extend the last one if it is of the same nonempty kind."""
        if stack == self.now:
            return self
        if kind and kind == self.kind:
            return replace(self, now=stack, future=())
        return History(stack, (*self.past, self.now)[-MAX_UNDO_STEPS:], (), kind)

    def with_alpha(self, alpha: float, index: int | None = None) -> History:
        """Set the strength of an edit (default: the chosen one); a whole drag is one step."""
        index = self.now.chosen if index is None else index
        return self.do(self.now.with_alpha(alpha, index), f"alpha {index}")

    def act(self, action: str, index: int = 0) -> History:
        """Do what a button asks for: "undo", "redo" or an action of ``Stack.act``."""
        if action == "undo":
            return self.undo()
        if action == "redo":
            return self.redo()
        if action == "choose":  # not an undo step: the result stays the same
            return replace(self, now=self.now.choose(index), kind="")
        return self.do(self.now.act(action, index))

    def undo(self) -> History:
        """Go back one step, if there is one."""
        if not self.past:
            return self
        return History(self.past[-1], self.past[:-1], (self.now, *self.future))

    def redo(self) -> History:
        """Repeat the last undone step, if there is one."""
        if not self.future:
            return self
        return History(self.future[0], (*self.past, self.now), self.future[1:])


def new_history(requests: Sequence[EditRequest]) -> History:
    """Start a history with these edits (at least one); the last one is chosen."""
    layers = tuple(Layer(request) for request in requests[:MAX_LAYERS])
    return History(Stack(layers, len(layers) - 1))
