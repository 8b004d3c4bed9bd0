"""fp16 and bf16 on a GPU against fp32 there, for every public network."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.synthetic_checkpoints import SMALL, network_state
from tmsa_core.kinds import build_network

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network(kind: str) -> nn.Module:
    module = build_network(kind, SMALL[kind])
    module.load_state_dict(network_state(kind, SMALL[kind], "half/"))
    return module.eval().cuda()


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).cuda()


def run(kind: str, dtype: torch.dtype) -> Tensor:
    module = network(kind).to(dtype)
    codes, images = inputs(2, 10, 512).to(dtype), inputs(2, 3, 256, 256).tanh().to(dtype)
    runs: dict[str, Callable[[], Tensor]] = {
        "stylegan2": lambda: module.synthesise(codes),
        "e4e": lambda: module(images[..., :64, :64]),
        "hfgi": lambda: module(network("stylegan2").to(dtype), images, codes, codes + 0.1),
        "arcface": lambda: module(images),
    }
    return runs[kind]()


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["stylegan2", "e4e", "hfgi", "arcface"])
def test_half_precision_stays_close(kind, dtype):
    exact, rough = run(kind, torch.float32), run(kind, dtype)
    assert rough.dtype == torch.float32 and rough.isfinite().all()
    assert (rough - exact).abs().mean() < 0.05 * exact.std()
