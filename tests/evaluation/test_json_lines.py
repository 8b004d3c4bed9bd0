"""Lines are known again by their fields, and half of the last one is told from something else."""

import pytest

from tmsa_core.errors import RequestError
from tmsa_core.evaluation.json_lines import Lines, cut_half_line

NOTES = Lines("day", frozenset({"day", "words"}), "notes")
WHOLE = '{"day": 1, "words": "a"}\n{"day": 2, "words": "b", "more": true}\n'


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert NOTES.read(tmp_path / "none") == []
    cut_half_line(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("half", ["", "{", '{"day": ', '{"day": 3, "wor'])
def test_half_a_line_is_left_out_and_can_be_cut_off(half, tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text(WHOLE + half)
    assert [row["day"] for row in NOTES.read(path)] == [1, 2]
    assert path.read_text() == WHOLE + half
    cut_half_line(path)
    assert path.read_text() == WHOLE


@pytest.mark.parametrize("text", [WHOLE + "my own", '{"day": 1}\n', "[]\n", "{" * 9 + "\n", "no"])
def test_anything_else_is_refused_and_stays(text, tmp_path):
    path = tmp_path / "else.txt"
    path.write_text(text)
    with pytest.raises(RequestError, match="holds no notes: name another file"):
        NOTES.read(path)
    assert path.read_text() == text
