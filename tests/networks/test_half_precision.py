"""fp16, bf16 and autocast against fp32 on the same device, for all networks of a photo edit."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.synthetic_checkpoints import SMALL, network_state
from tmsa_core.weights.architectures import build_network

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
WHERE = [
    pytest.param("cuda", torch.float16, marks=CUDA, id="fp16 on a GPU"),
    pytest.param("cuda", torch.bfloat16, marks=CUDA, id="bf16 on a GPU"),
    pytest.param("cpu", torch.bfloat16, id="bf16 on a CPU"),
    pytest.param("cpu", None, id="autocast on a CPU"),
]


def network(kind: str, device: str, dtype: torch.dtype) -> nn.Module:
    module = build_network(kind, SMALL[kind])
    module.load_state_dict(network_state(kind, SMALL[kind], "half/"))
    return module.eval().to(device, dtype)


def mapper(device: str, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return build_network("mapper", {"levels": 10, "hidden": [64]}).eval().to(device, dtype)


def inputs(device: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(device)


def run(kind: str, device: str, dtype: torch.dtype) -> Tensor:
    """The output of a network for float32 inputs."""
    codes, images = inputs(device, 2, 10, 512), inputs(device, 2, 3, 256, 256).tanh()
    if kind == "mapper":
        return mapper(device, dtype)(codes[:, 0])
    module = network(kind, device, dtype)
    runs: dict[str, Callable[[], Tensor]] = {
        "stylegan2": lambda: module.synthesise(codes),
        "e4e": lambda: module(images[..., :64, :64]),
        "hfgi": lambda: module(network("stylegan2", device, dtype), images, codes, codes + 0.1),
        "sfe": lambda: module.invert(network("stylegan2", device, dtype), images, codes)[1],
        "arcface": lambda: module(images),
    }
    return runs[kind]()


@torch.no_grad()
@pytest.mark.parametrize(("device", "dtype"), WHERE)
@pytest.mark.parametrize("kind", ["stylegan2", "e4e", "hfgi", "sfe", "arcface", "mapper"])
def test_half_precision_stays_close(kind, device, dtype):
    exact = run(kind, device, torch.float32)
    with torch.autocast(device, torch.bfloat16, enabled=dtype is None):
        rough = run(kind, device, dtype or torch.float32)
    assert rough.isfinite().all()
    assert rough.dtype == torch.float32 or kind == "mapper"
    error = (rough - exact).abs().mean() / exact.std()
    assert 0 < error < 0.05
