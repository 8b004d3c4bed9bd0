"""Scores of an edit: bounds, and cases whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tmsa_core import Editor, EditRequest, PreparedFace

GLASSES = EditRequest("human face", "human face with sunglasses")


def test_a_stronger_edit_matches_the_text_better_and_keeps_less(
    editor: Editor, avatar_face: PreparedFace
) -> None:
    none, full = (
        editor.scores(avatar_face, editor.edit(avatar_face, EditRequest(*texts, alpha)))
        for texts, alpha in (
            ((GLASSES.neutral_text, GLASSES.target_text), 0.0),
            ((GLASSES.neutral_text, GLASSES.target_text), 1.5),
        )
    )
    assert full.text > none.text and full.identity < none.identity
    assert full.text_before == pytest.approx(none.text_before)


def test_unchanged_sample_keeps_everything(editor: Editor, avatar_face: PreparedFace) -> None:
    request = EditRequest("human face", "human face")
    scores = editor.scores(avatar_face, editor.edit(avatar_face, request))
    assert scores.identity == pytest.approx(1, abs=1e-4)
    assert scores.inversion == pytest.approx(1, abs=1e-4)
    assert scores.text == scores.text_before == 1  # the texts are the same, so both fit alike


def test_each_stacked_edit_has_its_own_score(editor: Editor, avatar_face: PreparedFace) -> None:
    stack = [GLASSES, EditRequest("human face", "smiling human face")]
    scores = editor.scores(avatar_face, editor.edit(avatar_face, stack))
    assert [score.target_text for score in scores.texts] == [r.target_text for r in stack]
    assert all(0 <= s.before <= 1 and 0 <= s.after <= 1 for s in scores.texts)


def test_edits_of_several_batches_equal_single_edits(editor: Editor) -> None:
    faces = [editor.sample(seed) for seed in range(9)]
    requests = [EditRequest("human face", "old human face", alpha=i / 4) for i in range(9)]
    together = editor.edit_many(faces, requests)
    for face, request, result in zip(faces, requests, together, strict=True):
        alone = np.asarray(editor.edit(face, request).image).astype(int)
        assert np.abs(np.asarray(result.image) - alone).max() <= 1
        assert result.requests == (request,)
