"""Every method on tiny networks of the photo domains: shapes, strengths, resuming."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.tiny_networks import CLIP_DIM, LEVELS, RESOLUTION, SETTINGS, W_DIM, tiny_networks
from tmsa_core import baselines
from tmsa_core.baselines import (
    METHODS,
    Edit,
    FrozenNetworks,
    Texts,
    clip2stylegan,
    obstacle,
    styleclip_global,
    styleclip_mapper,
    styleclip_optimise,
    tedigan,
)
from tmsa_core.baselines.interface import load_part, part_path, save_part
from tmsa_core.cli import evaluate as cli_evaluation
from tmsa_core.errors import RequestError, TextError
from tmsa_core.networks.stylegan2 import Generator

TEXTS = Texts("face", "happy face")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, settings in SETTINGS.items():
        monkeypatch.setitem(module.SETTINGS, "car", settings)


@pytest.fixture
def networks(tmp_path: Path) -> FrozenNetworks:
    return tiny_networks(tmp_path)


@pytest.fixture
def codes() -> Tensor:
    return torch.randn(2, LEVELS, W_DIM, generator=torch.Generator().manual_seed(1))


def save_text_encoder(networks: FrozenNetworks) -> None:
    """Save the text encoder, whose fit needs captioned images, which only avatars have."""
    parts = tedigan.fit_text_encoder(torch.randn(50, CLIP_DIM), torch.randn(50, W_DIM))
    save_part(networks, tedigan.PART, parts, 1.0)


@pytest.mark.parametrize("key", METHODS)
def test_every_method_edits_and_alpha_zero_changes_nothing(
    key: str, networks: FrozenNetworks, codes: Tensor
):
    save_text_encoder(networks)
    before = networks.generator.synthesise(codes).clamp(-1, 1)
    edit = METHODS[key].find_edit(networks, codes, TEXTS)
    assert torch.equal(edit.apply(networks.generator, codes, 0.0), before)
    after = edit.apply(networks.generator, codes, 1.0)
    assert after.shape == (2, 3, RESOLUTION, RESOLUTION)
    assert after.isfinite().all() and not torch.equal(after, before)


@pytest.mark.parametrize("key", [key for key, m in METHODS.items() if m.prepare or m.prepare_text])
def test_prepared_parts_are_saved_with_their_cost(key: str, networks: FrozenNetworks):
    save_text_encoder(networks)
    method = replace(METHODS[key])

    def prepare() -> list[float | None]:
        once = [method.prepare(networks)] if method.prepare else []
        return once + ([method.prepare_text(networks, TEXTS)] if method.prepare_text else [])

    first = prepare()
    files = {path: path.stat().st_mtime_ns for path in networks.parts.iterdir()}
    assert prepare() == first
    assert {path: path.stat().st_mtime_ns for path in networks.parts.iterdir()} == files


def test_edits_of_one_image_do_not_depend_on_its_neighbours(
    networks: FrozenNetworks, codes: Tensor
):
    both = styleclip_optimise.find_edit(networks, codes, TEXTS).w_shift
    alone = styleclip_optimise.find_edit(networks, codes[1:], TEXTS).w_shift
    torch.testing.assert_close(both[1:], alone, atol=0.1, rtol=0)
    assert not torch.allclose(both[0], both[1], atol=0.1)


def test_the_optimisers_learning_rate_has_the_authors_ramps():
    factors = [styleclip_optimise.rate_factor(i / 300) for i in range(300)]
    assert factors[0] == 0
    assert factors[7] == pytest.approx(7 / 300 / 0.05)
    assert factors[15:226] == pytest.approx([1.0] * 211)
    assert factors[262] == pytest.approx(0.5, abs=0.02)
    assert factors[299] < 0.001


def test_a_larger_l2_weight_gives_a_shorter_shift(networks: FrozenNetworks, codes: Tensor):
    def length(l2: float) -> float:
        settings = styleclip_optimise.Settings(steps=6, l2=l2)
        return float(styleclip_optimise.find_edit(networks, codes, TEXTS, settings).w_shift.norm())

    assert length(10.0) < length(0.0)


def test_the_mapper_shifts_only_its_groups(networks: FrozenNetworks, codes: Tensor, monkeypatch):
    settings = styleclip_mapper.Settings(steps=1, batch=1, groups=("course", "medium"))
    monkeypatch.setitem(styleclip_mapper.SETTINGS, "car", settings)
    shift = styleclip_mapper.find_edit(networks, codes, TEXTS).w_shift
    assert shift[:, :8].abs().min() > 0 and not shift[:, 8:].any()


def test_each_text_has_its_own_mapper(networks: FrozenNetworks):
    assert styleclip_mapper.part_name(TEXTS) == styleclip_mapper.part_name(Texts("x", TEXTS.target))
    assert styleclip_mapper.part_name(TEXTS) != styleclip_mapper.part_name(Texts("face", "sad"))


def test_beta_is_the_largest_that_leaves_over_twenty_channels():
    relevance = torch.cat([torch.full((21,), -0.2), torch.full((5,), 0.28), torch.zeros(100)])
    assert styleclip_global.automatic_beta(relevance) == 0.2
    assert styleclip_global.automatic_beta(torch.full((50,), 0.11)) == 0.11
    assert styleclip_global.automatic_beta(torch.full((50,), 0.05)) == pytest.approx(0.05)


def test_beta_leaves_more_channels_in_domains_without_faces(
    networks: FrozenNetworks, codes, monkeypatch
):
    asked = []

    def beta(relevance: Tensor, fewest: int) -> float:
        asked.append(fewest)
        return 0.0

    monkeypatch.setattr(styleclip_global, "automatic_beta", beta)
    for domain in ("ffhq", "avatar", "car", "church"):
        monkeypatch.setitem(
            styleclip_global.SETTINGS, domain, SETTINGS[styleclip_global]
        )  # as few images as possible
        styleclip_global.find_edit(replace(networks, domain=domain), codes, TEXTS)
    assert asked == [20, 20, 100, 100]  # the authors' values


def test_channels_below_beta_are_zero_and_the_strongest_is_one():
    step = styleclip_global.channel_shift(torch.tensor([0.1, -0.4, 0.2, 0.05]), 0.1)
    torch.testing.assert_close(step, torch.tensor([0.25, -1.0, 0.5, 0.0]))


def test_to_rgb_layers_are_never_edited(networks: FrozenNetworks):
    layers = styleclip_global.edited_layers(networks.generator)
    assert layers == [0, 2, 3, 5, 6, 8, 9, 11, 12]
    styles = networks.generator.to_styles(torch.zeros(1, LEVELS, W_DIM))
    count = sum(styles[i].shape[1] for i in layers)
    parts = styleclip_global.to_layers(networks.generator, torch.ones(count))
    assert [p.shape[1] for p in parts] == [s.shape[1] for s in styles]
    assert [i for i, p in enumerate(parts) if p.any()] == layers


def test_public_generators_have_the_published_number_of_channels():
    generator = Generator(1024)
    layers = styleclip_global.edited_layers(generator)
    assert layers[:11] == [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15] and layers[-1] == 24
    styles = generator.to_styles(torch.zeros(1, 18, 512))
    assert sum(styles[i].shape[1] for i in layers[:11]) == 5376
    assert sum(styles[i].shape[1] for i in layers) == 6048


def test_measuring_channels_resumes_after_an_interruption(networks: FrozenNetworks, monkeypatch):
    whole = styleclip_global.prepare(networks) and load_part(networks, styleclip_global.PART)
    part_path(networks, styleclip_global.PART).unlink()
    measure, calls = styleclip_global._direction, []

    def stop_after_two_layers(*args):
        calls.append(args[2])
        if len(set(calls)) > 2:
            raise KeyboardInterrupt
        return measure(*args)

    monkeypatch.setattr(styleclip_global, "_direction", stop_after_two_layers)
    with pytest.raises(KeyboardInterrupt):
        styleclip_global.prepare(networks)
    monkeypatch.setattr(styleclip_global, "_direction", measure)
    styleclip_global.prepare(networks)
    again = load_part(networks, styleclip_global.PART)
    torch.testing.assert_close(again["directions"], whole["directions"])
    assert [p.stem for p in networks.parts.iterdir()] == [styleclip_global.PART]
    norms = again["directions"].norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), atol=1e-2, rtol=0)


def test_texts_of_the_same_meaning_are_refused(networks: FrozenNetworks, codes: Tensor):
    with pytest.raises(TextError, match="mean the same"):
        styleclip_global.find_edit(networks, codes, Texts("face", "face"))


def test_the_boundary_separates_codes_by_the_ranked_attribute():
    codes = torch.randn(400, 8, generator=torch.Generator().manual_seed(2))
    settings = clip2stylegan.Settings(extreme=0.2, margin=1.0)
    step = clip2stylegan.boundary_shift(3 * codes[:, 5], codes, settings)
    assert torch.nn.functional.cosine_similarity(step, torch.eye(8)[5], dim=0) > 0.95
    assert step.norm() == pytest.approx(2.8, abs=0.4)  # from the mean of one fifth to the other


def test_the_text_encoder_recovers_a_linear_map():
    rng = torch.Generator().manual_seed(3)
    texts, matrix = torch.randn(500, 6, generator=rng), torch.randn(6, 4, generator=rng)
    found = tedigan.fit_text_encoder(texts, texts @ matrix + 2)
    torch.testing.assert_close(
        (texts - found["mean"]) @ found["weight"] + found["code"],
        texts @ matrix + 2,
        atol=0.1,
        rtol=0,
    )


def test_style_mixing_replaces_the_medium_rows(networks: FrozenNetworks, codes: Tensor):
    save_text_encoder(networks)
    mixed = codes + tedigan.find_mixing_edit(networks, codes, TEXTS).w_shift
    assert torch.equal(mixed[:, :4], codes[:, :4]) and torch.equal(mixed[:, 8:], codes[:, 8:])
    torch.testing.assert_close(mixed[0, 4:8], mixed[1, 4:8])


def test_style_mixing_needs_captions(networks: FrozenNetworks, codes: Tensor):
    with pytest.raises(RequestError, match="captioned"):
        tedigan.find_mixing_edit(networks, codes, TEXTS)


def test_a_shift_in_style_space_equals_the_same_shift_in_w_plus(
    networks: FrozenNetworks, codes: Tensor
):
    shift = torch.randn(1, LEVELS, W_DIM)
    generator = networks.generator
    ends = zip(generator.to_styles(codes + shift), generator.to_styles(codes), strict=True)
    styles = Edit(style_shift=tuple(end - start for end, start in ends))
    torch.testing.assert_close(
        styles.apply(generator, codes, 0.7),
        Edit(w_shift=shift).apply(generator, codes, 0.7),
        atol=1e-4,
        rtol=0,
    )


def test_parts_of_the_bundle_are_not_computed_again(networks: FrozenNetworks, tmp_path: Path):
    method = METHODS["styleclip_global"]
    cost = method.prepare(networks)
    visitor = replace(networks, parts=tmp_path / "own", with_bundle=networks.parts)
    assert method.prepare(visitor) == cost and not visitor.parts.exists()
    elsewhere = replace(visitor, with_bundle=tmp_path / "none")
    method.prepare(elsewhere)
    assert part_path(elsewhere, "styleclip_global").parent == visitor.parts


def test_settings_that_differ_from_the_published_ones_are_listed():
    mapper = METHODS["styleclip_mapper"]
    assert mapper.differences("ffhq") == {} and METHODS["tmsa"].differences("avatar") == {}
    changed = replace(mapper, settings={"x": styleclip_mapper.Settings(steps=7)})
    assert changed.differences("x") == {"steps": [7, 50_000]}


def test_all_selects_the_methods_that_can_edit_a_domain():
    def able(*where: str) -> set[str]:
        return {name for name in METHODS if obstacle(name, *where) is None}

    assert able("avatar") == set(METHODS)
    assert able("ffhq") == set(METHODS) - {"tedigan_mixing"}
    assert able("avatar", "hfgi") == set(METHODS) - {"styleclip_global"}
    assert cli_evaluation._methods("all", "ffhq", "e4e") == tuple(
        name for name in METHODS if name in able("ffhq")
    )


def test_no_method_can_use_the_attribute_classifier():
    assert "classifier" not in FrozenNetworks.__dataclass_fields__
    script = (
        "import sys, tmsa_core.baselines, tmsa_core.training.avatar.renders; "
        "import tmsa_core.avatars.language.captions; "
        "print(*(name for name in sys.modules if name.startswith('tmsa_core')))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "tmsa_core.baselines.tedigan" in loaded
    assert not {"tmsa_core.networks.attributes", "tmsa_core.training.avatar.classifier"} & loaded
    assert not [name for name in loaded if name.startswith("tmsa_core.evaluation")]
    for path in Path(baselines.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        named = {node.id for node in nodes if isinstance(node, ast.Name)}
        named |= {node.value for node in nodes if isinstance(node, ast.Constant)}
        assert not {"AttributeNet", "classifier"} & named
