"""The rule that chooses the length of text shifts."""

import pytest

from tmsa_core.training.mapper.calibrate import first_crossing


def test_the_first_crossing_of_a_curve():
    assert first_crossing([1.0, 2.0, 3.0], [0.0, 0.5, 1.5], 1.0) == pytest.approx(2.5)
    assert first_crossing([1.0, 2.0], [1.2, 0.1], 1.0) == 1.0
    assert first_crossing([1.0, 2.0, 3.0], [0.2, 0.9, 0.4], 1.0) == 2.0
