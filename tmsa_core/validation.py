"""Validation of user input: each function returns the value or raises an error for the user."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

import numpy as np

from tmsa_core.datatypes import EditRequest, Face
from tmsa_core.errors import RequestError, StrengthError, quoted, shortened

MAX_LAYERS = 8  # stacked edits
MAX_STEPS = 15  # strengths of a sweep
ALPHA_LIMIT = 10.0


def check_requests(request: EditRequest | Sequence[EditRequest]) -> tuple[EditRequest, ...]:
    """One edit or several, as a tuple.

    Raises:
        RequestError: The list is empty or holds something else, or a field is no bool.
    """
    if isinstance(request, EditRequest):
        request = [request]
    requests = tuple(request) if isinstance(request, Iterable) else (request,)
    if not requests:
        raise RequestError("The list of edits is empty; give at least one.")
    for each in requests:
        if not isinstance(each, EditRequest):
            raise RequestError(
                f"Got a {shortened(type(each).__name__)} instead of an EditRequest: give one "
                "with a neutral and a target text, or a list of them."
            )
        check_flag(each.paste_back, "paste_back")
    return requests


def choose_face(faces: Sequence[Face], index: int) -> Face:
    """The face of a number.

    Raises:
        RequestError: There is no such face.
    """
    if not is_whole(index) or not 0 <= index < len(faces):
        found = "1 face was found" if len(faces) == 1 else f"{len(faces)} faces were found"
        raise RequestError(
            f"There is no face number {quoted(index)}: {found}, so use a number from 0 to "
            f"{len(faces) - 1}."
        )
    return faces[index]


def check_alpha(alpha: float) -> float:
    """A strength as a float.

    Raises:
        StrengthError: It is not a number from -``ALPHA_LIMIT`` to ``ALPHA_LIMIT``.
    """
    number = finite_number(alpha)
    if number is None or abs(number) > ALPHA_LIMIT:
        raise StrengthError(
            f"alpha is {quoted(alpha)}; use a number from -{ALPHA_LIMIT:g} to {ALPHA_LIMIT:g}, "
            "1 being the full edit."
        )
    return number


def check_threshold(threshold: float) -> float:
    """A threshold as a float.

    Raises:
        RequestError: It is not a number in [0, 1).
    """
    number = finite_number(threshold)
    if number is None or not 0 <= number < 1:
        raise RequestError(
            f"threshold is {quoted(threshold)}; use a number from 0 up to, but below, 1."
        )
    return number


def finite_number(value: object) -> float | None:
    """A finite real number as a float; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer with hundreds of digits
        return None
    return number if math.isfinite(number) else None


def is_whole(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_flag(value: object, name: str) -> bool:
    """A switch as a bool; JSON's null is False.

    Raises:
        RequestError: The value is not a bool, 0, 1 or None; the message calls it ``name``.
    """
    if value is None or isinstance(value, (bool, np.bool_)):
        return bool(value)
    if is_whole(value) and value in (0, 1):
        return value == 1
    raise RequestError(f"{name} is {quoted(value)}; use True or False.")


def check_choice(value: object, choices: Sequence[str], name: str) -> str:
    """One of several names.

    Raises:
        RequestError: The value is none of them; the message calls it ``name``.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise RequestError(f"{name} is {quoted(value)}; use one of {', '.join(choices)}.")


def parse_levels(text: object) -> str | tuple[int, ...]:
    """Levels from text: names stay as they are, "0,1,4" and lists become indices.

    The editor checks that the names and indices exist.

    Raises:
        RequestError: The value is neither a text nor a list.
    """
    if isinstance(text, (list, tuple)):
        return tuple(text)
    if is_whole(text):
        return (text,)  # type: ignore[return-value]
    if text is not None and not isinstance(text, str):
        raise RequestError(
            f"levels is {quoted(text)}; use a name such as 'all', or a list of indices."
        )
    words = (text or "all").strip() or "all"
    parts = [part.strip() for part in words.split(",")]
    if all(re.fullmatch(r"-?\d{1,9}", part) for part in parts):
        return tuple(int(part) for part in parts)
    return words


def strengths(alpha_from: float, alpha_to: float, steps: int) -> list[float]:
    """Evenly spaced strengths, both ends included.

    Raises:
        RequestError: An end is not a finite number, or ``steps`` is not from 2 to ``MAX_STEPS``.
    """
    first, last = number(alpha_from, "alpha_from"), number(alpha_to, "alpha_to")
    count = whole(steps, "steps")
    if not 2 <= count <= MAX_STEPS:
        raise RequestError(f"steps must be from 2 to {MAX_STEPS}, not {quoted(count)}.")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise RequestError("alpha_from and alpha_to must be finite numbers.")
    return [round(first + (last - first) * i / (count - 1), 6) for i in range(count)]


def number(value: object, name: str) -> float:
    """A JSON value as a float; the editor refuses NaN.

    Raises:
        RequestError: The value is not a number; the message calls it ``name``.
    """
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # OverflowError: hundreds of digits
        raise RequestError(f"{name} must be a number, not {quoted(value)}.") from None


def whole(value: object, name: str) -> int:
    """A JSON value as an integer.

    Raises:
        RequestError: The value is not a whole number; the message calls it ``name``.
    """
    if is_whole(value):
        return int(value)  # type: ignore[call-overload]  # a float would round a long seed
    result = number(value, name)
    if not result.is_integer():
        raise RequestError(f"{name} must be a whole number, not {quoted(value)}.")
    return int(result)
