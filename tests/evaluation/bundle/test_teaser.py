"""Pictures of edits for the README."""

import io

from PIL import Image, ImageChops

from tmsa_core.evaluation.bundle import teaser


def test_the_teaser_shows_pairs_that_differ(editor):
    sheet = teaser.teaser(editor)
    assert sheet.size == (1200, 444)
    before, after = (sheet.crop((x, 0, x + 192, 192)) for x in (0, 192))
    assert ImageChops.difference(before, after).getbbox() is not None


def test_the_animation_goes_up_and_back_in_three_seconds(editor, monkeypatch):
    monkeypatch.setattr(teaser, "STEPS", 3)
    with Image.open(io.BytesIO(teaser.strength_animation(editor))) as animation:
        assert animation.n_frames == 5 and animation.width == 264  # equal frames are merged
    assert 2 * (22 + 8) * 50 == 3_000  # milliseconds at the real number of steps
