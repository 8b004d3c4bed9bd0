"""What callers ask of the editor is taken, or refused in a sentence."""

from fractions import Fraction

import numpy as np
import pytest

from tmsa_core.checks import (
    as_stack,
    checked_alpha,
    checked_threshold,
    choose_face,
    finite_number,
    is_whole,
)
from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import RequestError, StrengthError

EDIT = EditRequest("human face", "smiling human face")


@pytest.mark.parametrize("edits", [EDIT, [EDIT], (EDIT,), iter([EDIT])])
def test_one_edit_or_several_are_a_stack(edits):
    assert as_stack(edits) == (EDIT,)


@pytest.mark.parametrize("edits", [[], "smiling human face", None, 3, [EDIT, "smile"]])
def test_what_is_no_edit_is_refused(edits):
    with pytest.raises(RequestError):
        as_stack(edits)


@pytest.mark.parametrize("alpha", [0, -10, 10.0, np.float32(1.5), np.int64(2), Fraction(1, 2)])
def test_real_numbers_are_strengths(alpha):
    assert checked_alpha(alpha) == float(alpha)


@pytest.mark.parametrize("alpha", [True, "1", None, float("nan"), float("inf"), 10.01, 10**400, 1j])
def test_all_else_is_no_strength(alpha):
    with pytest.raises(StrengthError, match="alpha is .*use a number from -10 to 10"):
        checked_alpha(alpha)


def test_a_threshold_leaves_something():
    assert checked_threshold(0) == 0 and checked_threshold(0.99) == 0.99
    for wrong in (-0.01, 1, float("nan"), None):
        with pytest.raises(RequestError, match="threshold is"):
            checked_threshold(wrong)


def test_faces_are_chosen_by_whole_numbers_from_zero():
    assert choose_face(["left", "right"], np.int32(1)) == "right"
    for wrong in (-1, 2, 0.0, "0", True):
        with pytest.raises(RequestError, match="2 faces were found, so use a number from 0 to 1"):
            choose_face(["left", "right"], wrong)
    with pytest.raises(RequestError, match="1 face was found"):
        choose_face(["one"], 1)


def test_truth_values_are_no_numbers():
    assert finite_number(True) is None and not is_whole(False)
    assert finite_number(np.float64("-inf")) is None
    assert is_whole(np.int8(3)) and not is_whole(3.0)
