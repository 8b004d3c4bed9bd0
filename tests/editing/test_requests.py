"""What callers ask of the editor is taken, or refused in a sentence."""

from fractions import Fraction

import numpy as np
import pytest

from tmsa_core.datatypes import EditRequest
from tmsa_core.validation import (
    check_alpha,
    check_requests,
    check_threshold,
    finite_number,
    is_whole,
)

EDIT = EditRequest("human face", "smiling human face")


@pytest.mark.parametrize("edits", [EDIT, [EDIT], (EDIT,), iter([EDIT])])
def test_one_edit_or_several_are_a_stack(edits):
    assert check_requests(edits) == (EDIT,)


@pytest.mark.parametrize("alpha", [0, -10, 10.0, np.float32(1.5), np.int64(2), Fraction(1, 2)])
def test_real_numbers_are_strengths(alpha):
    assert check_alpha(alpha) == float(alpha)


def test_a_threshold_leaves_something():
    assert check_threshold(0) == 0 and check_threshold(0.99) == 0.99


def test_truth_values_are_no_numbers():
    assert finite_number(True) is None and not is_whole(False)
    assert finite_number(np.float64("-inf")) is None
    assert is_whole(np.int8(3)) and not is_whole(3.0)
