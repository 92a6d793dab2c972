from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_tincture.models.layers.unet_blocks import AttentionGate, ResidualBlock, double_conv


def enlarging(count: int) -> torch.Tensor:
    """Bilinear weights (2 · count, count) of doubling: 3/4 of the nearest, 1/4 of the next."""
    result = torch.zeros(2 * count, count, dtype=torch.float64)
    for place in range(2 * count):
        near = place // 2
        next_one = min(max(near + (1 if place % 2 else -1), 0), count - 1)
        result[place, near] += 0.75
        result[place, next_one] += 0.25
    return result


def test_a_gate_follows_its_equations() -> None:
    torch.manual_seed(0)
    gate = AttentionGate(3, 5).double()
    skip = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    signal = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        cells = skip.reshape(2, 3, 4, 2, 3, 2)
        inner = torch.einsum("bcyixj,ocij->boyx", cells, gate.skip.weight)
        inner += torch.einsum("bgyx,og->boyx", signal, gate.gate.weight[..., 0, 0])
        inner = (inner + gate.gate.bias[:, None, None]).clamp(min=0)
        logit = torch.einsum("boyx,o->byx", inner, gate.psi.weight[0, :, 0, 0]) + gate.psi.bias
        weights = enlarging(4) @ (1 / (1 + (-logit).exp())) @ enlarging(3).T
        # float64 rounding of some dozen sums.
        torch.testing.assert_close(gate(skip, signal), weights[:, None], rtol=1e-12, atol=0)


@pytest.mark.parametrize("padded", [True, False])
def test_a_residual_block_adds_its_input(padded: bool) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(2, 3, "none", padded=padded).double()
    x = torch.randn(1, 2, 9, 8, dtype=torch.float64)
    first, second = (block.branch[n] for n in (0, 2))
    change = F.conv2d(x, first.weight, first.bias, padding=int(padded)).clamp(min=0)
    change = F.conv2d(change, second.weight, second.bias, padding=int(padded))
    kept = torch.einsum("bcyx,oc->boyx", x, block.shortcut.weight[..., 0, 0])
    kept = kept if padded else kept[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(block(x), (kept + change).clamp(min=0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("channels", "groups"), [(256, 32), (24, 12), (7, 1), (2, 1), (1, 1)])
def test_groups_have_two_channels_at_least(channels: int, groups: int) -> None:
    norms = [m for m in double_conv(1, channels, "group") if isinstance(m, nn.GroupNorm)]
    assert [norm.num_groups for norm in norms] == [groups, groups]
