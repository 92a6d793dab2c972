"""Training steps as papers and tutorials write them: one image after the other, line by line.

What our steps are measured against, and must equal in their losses. They take the networks of
the package, with every norm and weight as torch offers it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.layer_instance_norm import (
    EPS,
    AdaptiveLayerInstanceNorm,
    LayerInstanceNorm,
)
from napari_tincture.models.layers.spectral_norm import SpectralConv2d, SpectralLinear
from napari_tincture.models.networks.resnet_generator import InstanceNorm

Networks = Mapping[str, nn.Module]
Optimisers = Mapping[str, torch.optim.Optimizer]
Step = Callable[[Tensor, Tensor], dict[str, float]]


def cyclegan(networks: Networks, optimisers: Optimisers) -> Step:
    """Zhu et al., ICCV 2017: generators, then discriminators with their losses halved."""
    forward, backward = networks["forward"], networks["backward"]
    judge_b, judge_a = networks["discriminator"], networks["discriminator_backward"]
    judges = [*judge_a.parameters(), *judge_b.parameters()]
    pools: dict[str, list[Tensor]] = {"a": [], "b": []}

    def step(a: Tensor, b: Tensor) -> dict[str, float]:
        fake_b, fake_a = forward(a), backward(b)
        rec_a, rec_b = backward(fake_b), forward(fake_a)
        same_b, same_a = forward(b), backward(a)
        _require(judges, False)
        optimisers["generators"].zero_grad()
        g_a, g_b = _toward(judge_b(fake_b), 1), _toward(judge_a(fake_a), 1)
        cycle_a, cycle_b = 10 * functional.l1_loss(rec_a, a), 10 * functional.l1_loss(rec_b, b)
        idt_a, idt_b = 5 * functional.l1_loss(same_b, b), 5 * functional.l1_loss(same_a, a)
        (g_a + g_b + cycle_a + cycle_b + idt_a + idt_b).backward()
        optimisers["generators"].step()
        _require(judges, True)
        optimisers["discriminators"].zero_grad()
        d_a = _judged(judge_b, b, _pooled(pools["b"], fake_b.detach()))
        d_a.backward()
        d_b = _judged(judge_a, a, _pooled(pools["a"], fake_a.detach()))
        d_b.backward()
        optimisers["discriminators"].step()
        names = ("G_A", "G_B", "cycle_A", "cycle_B", "idt_A", "idt_B", "D_A", "D_B")
        values = (g_a, g_b, cycle_a, cycle_b, idt_a, idt_b, d_a, d_b)
        return {name: value.item() for name, value in zip(names, values, strict=True)}

    return step


def ugatit(networks: Networks, optimisers: Optimisers) -> Step:
    """Kim et al., ICLR 2020: discriminators, then generators, every image made anew for each."""
    forward, backward = networks["forward"], networks["backward"]
    judges = {
        "a": [networks[f"discriminator{kind}_backward"] for kind in ("", "_local")],
        "b": [networks[f"discriminator{kind}"] for kind in ("", "_local")],
    }

    def step(a: Tensor, b: Tensor) -> dict[str, float]:
        optimisers["discriminators"].zero_grad()
        fakes = {"a": _made(backward, b)[0], "b": _made(forward, a)[0]}
        told = _zero(a)
        for side, real in (("a", a), ("b", b)):
            for judge in judges[side]:
                for image, goal in ((real, 1), (fakes[side], 0)):
                    scores, logits = _seen(judge, image)
                    told = told + _toward(scores, goal) + _toward(logits, goal)
        told.backward()
        optimisers["discriminators"].step()

        optimisers["generators"].zero_grad()
        fake_b, logits_b = _made(forward, a)
        fake_a, logits_a = _made(backward, b)
        rec_a, rec_b = _made(backward, fake_b)[0], _made(forward, fake_a)[0]
        (same_a, own_a), (same_b, own_b) = _made(backward, a), _made(forward, b)
        total = _zero(a)
        for side, fake in (("a", fake_a), ("b", fake_b)):
            for judge in judges[side]:
                scores, logits = _seen(judge, fake)
                total = total + _toward(scores, 1) + _toward(logits, 1)
        for rec, same, real in ((rec_a, same_a, a), (rec_b, same_b, b)):
            total = total + 10 * functional.l1_loss(rec, real) + 10 * functional.l1_loss(same, real)
        for translated, own in ((logits_a, own_a), (logits_b, own_b)):
            total = total + 1000 * (_logit(translated, 1) + _logit(own, 0))
        total.backward()
        optimisers["generators"].step()
        for network in (forward, backward):
            for module in network.modules():
                if isinstance(module, _PlainNorm):
                    module.rho.data.clamp_(0, 1)
        return {"Discriminator_loss": told.item(), "Generator_loss": total.item()}

    return step


STEPS = {"cyclegan": cyclegan, "ugatit": ugatit}


def plain(network: nn.Module) -> nn.Module:
    """The same network with torch's own norms, and formulas where torch has none; in place."""
    for parent in list(network.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, InstanceNorm):
                setattr(parent, name, nn.InstanceNorm2d(module.num_features))
            elif isinstance(module, AdaptiveLayerInstanceNorm | LayerInstanceNorm):
                setattr(parent, name, _PlainNorm(module))
            elif isinstance(module, SpectralConv2d | SpectralLinear):
                setattr(parent, name, _plain_spectral(module))
    return network


class _PlainNorm(nn.Module):
    """ρ · instance norm + (1 − ρ) · layer norm, each by its formula, with unbiased variances."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.rho, self.eps = norm.rho, EPS
        self.gamma, self.beta = getattr(norm, "gamma", None), getattr(norm, "beta", None)

    def forward(self, x: Tensor, gamma: Any = None, beta: Any = None) -> Tensor:
        gamma = self.gamma if gamma is None else gamma[:, :, None, None]
        beta = self.beta if beta is None else beta[:, :, None, None]
        by_channel = (x - x.mean((2, 3), keepdim=True)) / torch.sqrt(
            x.var((2, 3), keepdim=True) + self.eps
        )
        by_image = (x - x.mean((1, 2, 3), keepdim=True)) / torch.sqrt(
            x.var((1, 2, 3), keepdim=True) + self.eps
        )
        rho = self.rho.expand(len(x), -1, -1, -1)
        return (rho * by_channel + (1 - rho) * by_image) * gamma + beta


def _plain_spectral(module: Any) -> nn.Module:
    rows, columns = module.weight_orig.shape[:2]
    if isinstance(module, SpectralConv2d):
        size = module.weight_orig.shape[-1]
        layer: nn.Module = nn.Conv2d(columns, rows, size, module.stride)
        layer.bias = module.bias
    else:
        layer = nn.Linear(columns, rows, bias=False)
    layer.weight = nn.Parameter(module.weight_orig.detach().clone())
    normed = nn.utils.spectral_norm(layer)
    normed.weight_u.copy_(module.weight_u)  # type: ignore[operator]
    normed.weight_v.copy_(module.weight_v)  # type: ignore[operator]
    return normed


def _made(generator: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    found = generator.detailed(image)
    return found["image"], found["cam_logit"]


def _seen(judge: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    found = judge.detailed(image)
    return found["scores"], found["cam_logit"]


def _judged(judge: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return (_toward(judge(real), 1) + _toward(judge(fake), 0)) * 0.5


def _toward(scores: Tensor, goal: float) -> Tensor:
    return functional.mse_loss(scores, torch.full_like(scores, goal))


def _logit(logits: Tensor, goal: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, goal))


def _zero(image: Tensor) -> Tensor:
    return torch.zeros((), device=image.device)


def _require(weights: list[nn.Parameter], wanted: bool) -> None:
    for weight in weights:
        weight.requires_grad_(wanted)


def _pooled(pool: list[Tensor], images: Tensor) -> Tensor:
    chosen = []
    for image in images:
        if len(pool) < 50:
            pool.append(image)
            chosen.append(image)
        elif random.random() > 0.5:
            place = random.randint(0, len(pool) - 1)
            chosen.append(pool[place])
            pool[place] = image
        else:
            chosen.append(image)
    return torch.stack(chosen)
