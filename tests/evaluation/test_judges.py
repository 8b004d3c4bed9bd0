"""Scores of edits, intervals and prompt files, by known answers."""

import json
import math

import pytest
import torch

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.judges import Evaluators, Reading, compared, edit_and_score, score
from tmsa_core.evaluation.metrics import bootstrap, ssim
from tmsa_core.evaluation.prompt_file import read_prompts
from tmsa_core.evaluation.prompts import SIX, Prompt

GLASSES = next(prompt for prompt in SIX if prompt.name == "glasses")
TWICE = '{"name": "a", "target": "b", "without": "c"}'
TARGET, WITHOUT = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])


def people(count: int) -> Portraits:
    return Portraits(
        {name: torch.zeros(count) for name in TRAITS},
        {name: torch.zeros(count, dtype=torch.int64) for name in ATTRIBUTES},
    )


def reading(portraits: Portraits | None, seen: list[list[float]], person: list[list[float]]):
    images = torch.zeros(len(seen), 3, 16, 16)
    return Reading(images, torch.tensor(person), torch.tensor(seen), portraits)


def test_success_failure_and_damage_are_distinguished():
    before = reading(people(3), [[0.0, 1.0]] * 3, [[1.0, 0.0]] * 3)
    after = people(3).with_(eyewear=torch.tensor([1, 0, 1]), clothes=torch.tensor([0, 0, 2]))
    seen = [[0.9, 0.1], [0.2, 0.6], [0.8, 0.3]]
    faces = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    rows = score(before, reading(after, seen, faces), GLASSES, TARGET, WITHOUT)
    assert [row["success"] for row in rows] == [True, False, True]
    assert [row["clip"] for row in rows] == [True, False, True]
    assert [row["identity"] for row in rows] == pytest.approx([1.0, 0.0, 0.6])
    assert [row["changed"] for row in rows] == [[], [], ["clothes"]]
    assert rows[0]["ssim"] == pytest.approx(1) and rows[0]["l2"] == 0


def test_hidden_attributes_are_not_compared():
    sunglasses = ATTRIBUTES["eyewear"].options.index("sunglasses")
    before = reading(people(1).with_(eyewear=torch.tensor([sunglasses])), [[0, 1.0]], [[1.0, 0]])
    after = reading(people(1).with_(eyes=torch.tensor([1])), [[0, 1.0]], [[1.0, 0]])
    row = score(before, after, GLASSES, TARGET, WITHOUT)[0]
    assert "eyes" in row["unseen"] and row["changed"] == []


def test_without_the_truth_there_is_no_success():
    before = reading(None, [[0.0, 1.0]], [[1.0, 0.0]])
    row = score(before, before, GLASSES, TARGET, WITHOUT)[0]
    assert row["success"] is None and row["changed"] == [] and row["clip"] is False


class FixedReading(Evaluators):
    """Returns the same reading for every image, in place of running networks."""

    def read(self, images, traits=None):
        return AFTER

    def text(self, text):
        return TARGET if text == GLASSES.target else WITHOUT


AFTER = reading(
    people(2).with_(eyewear=torch.tensor([1, 0]), clothes=torch.tensor([0, 2])),
    [[0.9, 0.1], [0.2, 0.6]],
    [[1.0, 0.0], [0.6, 0.8]],
)


def test_only_portraits_that_lack_it_are_edited_and_their_scores_averaged():
    eyewear = torch.tensor([1, 0, 0])  # the first one wears glasses already
    before = reading(people(3).with_(eyewear=eyewear), [[0.0, 1.0]] * 3, [[1.0, 0.0]] * 3)
    edited = []
    judges = FixedReading(None, None, None)
    row = edit_and_score(judges, before, GLASSES, lambda index: edited.extend(index.tolist()))
    assert edited == [1, 2]
    assert row["prompt"] == "glasses" and row["portraits"] == 2
    assert row["success"] == row["clip"] == 0.5 and row["identity"] == pytest.approx(0.8)
    assert (row["worst"], row["worst_kept"]) == ("clothes", 0.5)
    seen = [name for name in compared(GLASSES) if visible(people(1), name).all()]
    assert row["kept"] == pytest.approx((len(seen) - 0.5) / len(seen))


def test_portraits_that_all_show_it_are_refused():
    before = reading(people(1).with_(eyewear=torch.tensor([1])), [[0.0, 1.0]], [[1.0, 0.0]])
    with pytest.raises(RequestError, match="All of 1 portraits show 'glasses' already"):
        edit_and_score(FixedReading(None, None, None), before, GLASSES, lambda index: None)


def test_requested_and_implied_attributes_are_not_damage():
    assert not {"eyewear", "frame_shape"} & set(compared(GLASSES))
    assert "hair_style" in compared(GLASSES)


def test_the_bootstrap_interval_contains_the_mean_and_shrinks():
    few, many = bootstrap([0.0, 1.0] * 10), bootstrap([0.0, 1.0] * 1000)
    assert few.low < few.mean == 0.5 < few.high
    assert few.high - few.low == pytest.approx(4 * 0.5 / 20**0.5, rel=0.2)  # about 4 deviations
    assert many.high - many.low < (few.high - few.low) / 5
    assert bootstrap([0.3] * 5) == pytest.approx((0.3, 0.3, 0.3))
    assert all(math.isnan(x) for x in bootstrap([]))


def test_the_bootstrap_draws_whole_groups():
    # two portraits: both drawn alike give 0 or 1, a quarter of the time each, else (0 + 0 + 1) / 3
    assert bootstrap([0.0, 0.0, 1.0], [7, 7, 9]) == pytest.approx((1 / 3, 0.0, 1.0))
    values = [0.1, 0.5, 0.2, 0.9]
    assert bootstrap(values, [1, 2, 3, 4]) == bootstrap(values)
    alone, copied = bootstrap(values), bootstrap(values * 6, [1, 2, 3, 4] * 6)
    assert copied == pytest.approx(alone)  # repeated values add no information


def test_structural_similarity_of_known_images():
    a = torch.rand(2, 3, 24, 24) * 2 - 1
    torch.testing.assert_close(ssim(a, a), torch.ones(2))
    assert (ssim(a, -a) < 0).all()
    flat, c1 = torch.zeros(1, 3, 16, 16), 0.01**2  # flat images differ in luminance alone
    found = ssim(flat - 0.6, flat + 0.4)  # 0.2 and 0.7 of the range
    expected = (2 * 0.2 * 0.7 + c1) / (0.2**2 + 0.7**2 + c1)
    torch.testing.assert_close(found, torch.tensor([expected]), atol=1e-3, rtol=0)


def test_prompts_are_read_from_a_file(tmp_path):
    path = tmp_path / "prompts.json"
    entry = {"name": "hat", "target": "a hat", "without": "no hat", "wanted": {"headwear": ["cap"]}}
    path.write_text(
        json.dumps([entry, {"name": "x", "target": "x", "without": "y", "neutral": "z"}]),
        encoding="utf-8-sig",  # as some editors write it
    )
    assert read_prompts(path) == (
        Prompt("hat", "a hat", "no hat", (("headwear", ("cap",)),)),
        Prompt("x", "x", "y", (), neutral="z"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "not a JSON file"),
        ("[]", "has no list of prompts"),
        ('[{"name": "a"}]', "needs name, target, without"),
        ('[{"name": "a", "target": " ", "without": "c"}]', "needs name, target, without"),
        ('[{"name": "a", "target": "b", "without": "c", "wnated": {}}]', "unknown field 'wnated'"),
        ('[{"name": "a", "target": "b", "without": "c", "wanted": []}]', "wanted is an object"),
        (
            '[{"name": "a", "target": "b", "without": "c", "wanted": {"hut": []}}]',
            "not an attribute",
        ),
        (
            '[{"name": "a", "target": "b", "without": "c", "wanted": {"headwear": ["crown"]}}]',
            "no option 'crown'",
        ),
        (f"[{TWICE}, {TWICE}]", "two prompts called 'a'"),
        ("", "not a JSON file"),
        ("[" * 200_000, "not a JSON file"),
        (
            '[{"name": "a", "target": "b", "without": "c", "neutral": 5}]',
            "neutral of 'a' is not a text",
        ),
        (
            '[{"name": "a", "target": "b", "without": "c", "neutral": " "}]',
            "neutral of 'a' is not a text",
        ),
        ('[{"name": "a", "target": "human face", "without": "c"}]', "is the same as its neutral"),
        ('[{"name": "a", "target": "b", "without": "b"}]', "or the one without"),
        (
            '[{"name": "a", "target": "b", "without": "c", "implied": [["age"]]}]',
            "is not an attribute",
        ),
        ('[{"name": "a", "target": "b", "without": "c", "wanted": {"age": []}}]', "needs a list"),
        ('[{"name": "a", "target": "b", "without": "c", "wanted": {"age": 3}}]', "needs a list"),
    ],
)
def test_a_wrong_prompt_file_is_refused(tmp_path, text, said):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(RequestError, match=said):
        read_prompts(path)


def test_a_missing_prompt_file_is_refused(tmp_path):
    with pytest.raises(RequestError, match="not a JSON file"):
        read_prompts(tmp_path / "absent.json")
