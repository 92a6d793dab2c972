from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_tincture.models.layers.layer_instance_norm import (
    AdaptiveLayerInstanceNorm,
    LayerInstanceNorm,
    clip_rho,
)


def by_definition(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    """U-GAT-IT's equation 1, with torch's own moments."""

    def standard(dims: tuple[int, ...]) -> Tensor:
        variance, mean = torch.var_mean(x, dims, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-5)

    mixed = rho * standard((2, 3)) + (1 - rho) * standard((1, 2, 3))
    return mixed * gamma[..., None, None] + beta[..., None, None]


@pytest.fixture
def settings() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 3, 5, 4), (2, 3), (2, 3), (1, 3, 1, 1)
    x, gamma, beta, rho = (
        torch.rand(shape, dtype=torch.float64, generator=generator) for shape in shapes
    )
    return 3 * x + 5, gamma, beta, rho


def test_both_ways_give_the_definition_and_its_gradients(settings: tuple[Tensor, ...]) -> None:
    norm = AdaptiveLayerInstanceNorm(3).double()
    x, gamma, beta, rho = (value.requires_grad_() for value in settings)
    norm.rho.data = rho.data
    expected = by_definition(x, gamma, beta, rho)
    learning = norm(x, gamma, beta)
    with torch.inference_mode():
        plain = norm(x, gamma, beta)
    # Both in float64: what is left is rounding.
    torch.testing.assert_close(learning, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-11)
    weights = torch.rand(expected.shape, dtype=torch.float64)
    found = torch.autograd.grad(learning, (x, gamma, beta, norm.rho), weights)
    wanted = torch.autograd.grad(expected, (x, gamma, beta, rho), weights)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_learned_scale_and_shift_get_the_gradients_of_the_definition(
    settings: tuple[Tensor, ...],
) -> None:
    x, gamma, beta, rho = settings
    norm = LayerInstanceNorm(3).double()
    parameters = {"rho": rho, "gamma": gamma[:1, :, None, None], "beta": beta[:1, :, None, None]}
    norm.load_state_dict(parameters)
    known = [value.detach().requires_grad_() for value in (gamma[:1], beta[:1], rho)]
    norm(x).square().sum().backward()
    by_definition(x, *known).square().sum().backward()
    for parameter, other in zip((norm.gamma, norm.beta, norm.rho), known, strict=True):
        assert parameter.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(parameter.grad.flatten(), other.grad.flatten())


def test_moments_are_taken_in_single_precision() -> None:
    # 64 · 64 halves of this size sum up to more than float16 holds.
    x = torch.rand(1, 2, 64, 64) + 30
    norm = LayerInstanceNorm(2)
    with torch.inference_mode():
        found = norm(x.half())
        expected = norm(x.half().float())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=1e-3)


def test_fresh_norms_start_as_published() -> None:
    assert bool((AdaptiveLayerInstanceNorm(2).rho == 0.9).all())
    norm = LayerInstanceNorm(2)
    assert [float(v.detach().mean()) for v in (norm.rho, norm.gamma, norm.beta)] == [0, 1, 0]


def test_rho_is_put_back_between_0_and_1() -> None:
    network = torch.nn.ModuleList([AdaptiveLayerInstanceNorm(3), LayerInstanceNorm(3)])
    for module in network:
        module.rho.data = torch.tensor([-0.5, 0.25, 1.5])
    clip_rho(network)
    for module in network:
        assert module.rho.tolist() == [0.0, 0.25, 1.0]
