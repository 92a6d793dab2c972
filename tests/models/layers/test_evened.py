"""Discriminators without a pixel lost: the same scores, and some more at the far sides."""

from __future__ import annotations

import pytest
import torch

from napari_tincture.models.layers.evened import drift, evened
from napari_tincture.models.registry import build_network

KINDS = {
    "patch": {"in_channels": 2, "ndf": 2, "n_layers": 2, "norm": "none"},
    "pixel": {"in_channels": 2, "ndf": 2, "norm": "none"},
    "multiscale_patch": {"in_channels": 2, "ndf": 2, "n_layers": 2, "norm": "none", "scales": 2},
    "spade": {"in_channels": 2, "ndf": 2, "n_layers": 3, "norm": "none", "num_D": 2},
}


def build(name, options):
    torch.manual_seed(0)
    return build_network(name, options, "discriminators").eval()


def maps(found):
    found = [found] if isinstance(found, torch.Tensor) else found
    return [scores if isinstance(scores, torch.Tensor) else scores[-1] for scores in found]


@pytest.mark.parametrize("name", KINDS)
def test_scores_away_from_the_far_border_are_the_same(name: str) -> None:
    network = build(name, KINDS[name])
    even = evened(network)
    x = torch.rand(1, 2, 64, 80)
    before = [p.padding for p in network.modules() if isinstance(p, torch.nn.Conv2d)]
    with torch.inference_mode():
        pairs = list(zip(maps(network(x)), maps(even(x)), strict=True))
    assert before == [p.padding for p in network.modules() if isinstance(p, torch.nn.Conv2d)]
    for scale, (scores, more) in enumerate(pairs):
        side = 64 // more.shape[2]
        assert more.shape[2:] == (64 // side, 80 // side)
        kept = tuple(max(min(n) - 4, 1) for n in zip(scores.shape[2:], more.shape[2:], strict=True))
        here, there = (v[:, :, : kept[0], : kept[1]] for v in (scores, more))
        torch.testing.assert_close(there, here), scale


@pytest.mark.parametrize("n_layers", [3, 4])
def test_scores_of_ugatit_stay_too(n_layers: int) -> None:
    network = build("ugatit", {"in_channels": 2, "ndf": 2, "n_layers": n_layers})
    stride = 2 ** (n_layers - 2)
    x = torch.rand(1, 2, 64, 96)
    with torch.inference_mode():
        scores, more = network(x), evened(network)(x)
    assert more.shape == (1, 1, 64 // stride, 96 // stride)
    kept = tuple(n - 4 for n in scores.shape[2:])
    torch.testing.assert_close(more[..., : kept[0], : kept[1]], scores[..., : kept[0], : kept[1]])


@pytest.mark.parametrize(("name", "n_layers"), [("patch", 2), ("patch", 3), ("ugatit", 4)])
def test_drift_is_where_single_pixels_act(name: str, n_layers: int) -> None:
    options = {"in_channels": 1, "ndf": 2, "n_layers": n_layers}
    network = build(name, options | ({"norm": "none"} if name == "patch" else {}))
    x = torch.rand(1, 1, 192, 192, requires_grad=True)
    score = evened(network)(x)
    stride = 192 // score.shape[3]
    middle = score.shape[3] // 2
    (seen,) = torch.autograd.grad(score[0, :, middle, middle].sum(), x)
    columns = seen[0, 0].abs().sum(0).nonzero().flatten()
    sees = (columns[0] + columns[-1]).item() / 2
    place = (middle + 0.5) * stride - 0.5
    assert sees - place == drift(network) * stride
