"""The visitor's stack of edits, its history, and how it is shown. Values, nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import RequestError, quoted
from tmsa_core.validation import MAX_LAYERS, check_alpha, check_threshold, is_whole

MAX_UNDO_STEPS = 100


@dataclass(frozen=True)
class Layer:
    """One edit of the stack, and whether it is switched on."""

    request: EditRequest
    on: bool = True

    def __post_init__(self) -> None:
        """Raise what the editor raises, before the page shows numbers that cannot be written."""
        check_alpha(self.request.alpha)
        check_threshold(self.request.threshold)


@dataclass(frozen=True)
class Stack:
    """Edits from the first to the last; ``chosen`` is the one that the controls show."""

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
        """The chosen edit replaced, and switched on."""
        return self._with_layers(self.chosen, Layer(request))

    def add(self, request: EditRequest) -> Stack:
        """One more edit, which is then the chosen one. RequestError where there are too many."""
        if len(self.layers) >= MAX_LAYERS:
            raise RequestError(f"There are {MAX_LAYERS} edits already; remove one first.")
        return Stack((*self.layers, Layer(request)), len(self.layers))

    def choose(self, index: int) -> Stack:
        """Show another edit in the controls."""
        return replace(self, chosen=self._checked(index))

    def toggle(self, index: int) -> Stack:
        """Switch an edit on or off."""
        layer = self.layers[self._checked(index)]
        return self._with_layers(index, replace(layer, on=not layer.on))

    def move(self, index: int, by: int) -> Stack:
        """Move an edit up (-1) or down (1); the chosen edit stays the same edit."""
        other = index + by
        if not 0 <= other < len(self.layers):
            return self
        layers = list(self.layers)
        layers[index], layers[other] = layers[other], layers[index]
        places = {index: other, other: index}
        return Stack(tuple(layers), places.get(self.chosen, self.chosen))

    def remove(self, index: int) -> Stack:
        """Take an edit out; the last one stays, switched off."""
        self._checked(index)
        if len(self.layers) == 1:
            return self._with_layers(0, replace(self.layers[0], on=False))
        layers = self.layers[:index] + self.layers[index + 1 :]
        chosen = self.chosen - (self.chosen > index or self.chosen == len(layers))
        return Stack(layers, chosen)

    def act(self, action: str, index: int) -> Stack:
        """What a button of ``stack_html`` asks for."""
        if action == "up":
            return self.move(self._checked(index), -1)
        if action == "down":
            return self.move(self._checked(index), 1)
        actions = {"choose": self.choose, "toggle": self.toggle, "remove": self.remove}
        if not isinstance(action, str) or action not in actions:
            raise RequestError(f"There is no action {quoted(action)} for an edit.")
        return actions[action](index)

    def with_alpha(self, alpha: float, index: int) -> Stack:
        """An edit at another strength, and switched on; as it is where it has that strength."""
        request = self.layers[self._checked(index)].request
        if request.alpha == alpha:
            return self
        return self._with_layers(index, Layer(replace(request, alpha=alpha)))

    def _with_layers(self, index: int, layer: Layer) -> Stack:
        return replace(self, layers=self.layers[:index] + (layer,) + self.layers[index + 1 :])

    def _checked(self, index: int) -> int:
        if not is_whole(index) or not 0 <= index < len(self.layers):
            raise RequestError(
                f"There is no edit with the index {quoted(index)}; the page may be out of date."
            )
        return index


@dataclass(frozen=True)
class History:
    """The stack as it is, as it was, and as it was before steps were undone."""

    now: Stack
    past: tuple[Stack, ...] = ()
    future: tuple[Stack, ...] = ()
    kind: str = ""  # of the last step; steps of one kind in a row are undone together

    def do(self, stack: Stack, kind: str = "") -> History:
        """A step. Steps of the same ``kind`` in a row, such as a drag, count as one."""
        if stack == self.now:
            return self
        if kind and kind == self.kind:
            return replace(self, now=stack, future=())
        return History(stack, (*self.past, self.now)[-MAX_UNDO_STEPS:], (), kind)

    def with_alpha(self, alpha: float, index: int | None = None) -> History:
        """An edit, the chosen one if not said, at another strength; a drag is one step."""
        index = self.now.chosen if index is None else index
        return self.do(self.now.with_alpha(alpha, index), f"alpha {index}")

    def undo(self) -> History:
        """One step back; at the start nothing changes."""
        if not self.past:
            return self
        return History(self.past[-1], self.past[:-1], (self.now, *self.future))

    def redo(self) -> History:
        """One undone step forth again."""
        if not self.future:
            return self
        return History(self.future[0], (*self.past, self.now), self.future[1:])


def new_history(requests: Sequence[EditRequest]) -> History:
    """A history that begins with these edits, the last one chosen."""
    layers = tuple(Layer(request) for request in requests[:MAX_LAYERS])
    return History(Stack(layers, len(layers) - 1))
