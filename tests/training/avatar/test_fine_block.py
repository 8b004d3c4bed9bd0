import torch

from tmsa_core.training.avatar import fine_block
from tmsa_core.training.avatar.generator import ARCHITECTURE, lift_codes, new_generator, optimisers
from tmsa_core.training.avatar.grow import grown_architecture, grown_generator
from tmsa_core.training.avatar.stylegan_mapping import LIFT


def grown():
    """A grown generator whose last block shows."""
    torch.manual_seed(0)
    model = grown_generator(new_generator(), grown_architecture(ARCHITECTURE)).eval()
    model.requires_grad_(False)
    for name, weight in fine_block.last_block(model).named_parameters():
        weight.add_(0.1 * torch.randn_like(weight))
        weight.requires_grad_(not name.endswith("noise.weight"))
    return model


def test_the_last_block_learns_but_not_the_strength_of_its_textures():
    model = grown()
    trained = [
        weight
        for learner in optimisers(model).values()
        for group in learner.param_groups
        for weight in group["params"]
    ]
    names = {id(weight): name for name, weight in model.named_parameters()}
    learning = {names[id(weight)] for weight in trained}
    assert {name.rsplit(".", 1)[0].split(".conv")[0] for name in learning} == {
        "convs.10", "convs.10.activate", "convs.11", "convs.11.activate", "to_rgbs.5",
    }  # fmt: skip


@torch.no_grad()
def test_a_patch_is_that_part_of_the_whole_image():
    model = grown()
    w_plus = torch.randn(2, model.levels, 512)
    below = fine_block.run_below(model, w_plus)
    with torch.autocast("cpu", torch.bfloat16):
        whole = model.synthesise(w_plus)
    part = below.patch(torch.tensor([1, 0]), 20, 50, 64)
    assert part.features.shape == (2, 24, 64, 64) and torch.equal(part.rows, w_plus[[1, 0], -3:])
    drawn = fine_block.draw_patch(model, part, 20, 50)
    inside = (..., *[slice(fine_block.BORDER, -fine_block.BORDER)] * 2)
    expected = whole[[1, 0], :, 40:168, 100:228]
    assert (drawn - expected)[inside].abs().max() < 0.05 * expected.std()
    assert (expected - expected.mean()).abs().max() > expected.std()


@torch.no_grad()
def test_a_trained_block_takes_its_place_and_leaves_the_rest_alone():
    trained, finished = grown(), grown()
    lift_codes(finished, LIFT)
    before = {name: value.clone() for name, value in finished.state_dict().items()}
    for weight in fine_block.last_block(trained).parameters():
        weight.mul_(1.1)
    fine_block.insert(finished, fine_block.last_block(trained).state_dict())
    w_plus = torch.randn(1, trained.levels, 512)
    image = trained.synthesise(w_plus)
    assert torch.allclose(finished.synthesise(w_plus + LIFT), image, atol=1e-2, rtol=1e-2)
    changed = {k for k, v in finished.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith(("convs.10", "convs.11", "to_rgbs.5")) for k in changed)
