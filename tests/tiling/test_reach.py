"""What is measured of a network is what pixels, moved one by one, do to its output."""

from __future__ import annotations

import math

import pytest
import torch
from bruteforce import brute_halo, positive, run, without_norms
from models import model_of
from networks import EXACT, INEXACT, Fn, conv, unet
from torch import nn

from napari_tincture.errors import ModelError
from napari_tincture.models import Channel, Model, ModelCard
from napari_tincture.models.registry import build_network
from napari_tincture.tiling import reach
from napari_tincture.tiling.once import OncePerStructure
from napari_tincture.tiling.reach import measure, reach_of

# One is too large for one pixel after the other, some activations swallow faint light, and a
# partial convolution sees the border of the window, not pixels.
SPECIAL = ("unet deep", "activations", "partial convolution")


@pytest.mark.parametrize("name", [name for name in EXACT if name not in SPECIAL])
def test_the_halo_is_the_reach_of_single_pixels(name):
    specimen = EXACT[name]
    network = specimen()
    geometry = measure(network, 2).geometry
    size = max(96, math.ceil(4 * geometry.halo / 12) * 12)
    network = positive(network)
    assert geometry.halo == brute_halo(network, geometry.stride, geometry.margin, size)


@pytest.mark.parametrize("name", EXACT)
def test_exact_networks_are_told(name):
    specimen = EXACT[name]
    reach = measure(specimen(), 2)
    assert reach.reasons == ()
    assert reach.geometry.stride == specimen.stride
    assert len(reach.sites) == specimen.sites


@pytest.mark.parametrize("name", [n for n in EXACT if n not in ("unet deep", "far dilation")])
def test_the_stride_is_the_smallest_shift_that_the_output_follows(name):
    network = EXACT[name]().double()
    geometry = measure(network, 2).geometry
    stride, margin, halo = geometry.stride, geometry.margin, geometry.halo
    size = math.ceil((2 * halo + 4 * stride + 8) / 12 / stride) * 12 * stride
    wide = torch.rand(1, 2, size + stride, size + stride, dtype=torch.float64)
    _, known = run(network, wide[..., :size, :size])
    network = without_norms(network)

    def gap(shift: int) -> float:
        first, _ = run(network, wide[..., :size, :size], known)
        second, _ = run(network, wide[..., shift : shift + size, shift : shift + size], known)
        inner = slice(halo + stride, size - 2 * margin - halo - stride)
        moved = slice(inner.start + shift, inner.stop)
        kept = slice(inner.start, inner.stop - shift)
        return float((first[..., moved, moved] - second[..., kept, kept]).abs().max())

    assert gap(stride) < 1e-9
    for divisor in (d for d in (2, 3) if stride % d == 0):
        assert gap(stride // divisor) > 1e-9


@pytest.mark.parametrize("name", INEXACT)
def test_what_cannot_be_exact_is_reported_with_its_reason(name):
    build, word = INEXACT[name]
    torch.manual_seed(0)
    reach = measure(build().eval(), 2)
    assert not reach.exact
    assert any(word in reason for reason in reach.reasons), reach.reasons
    assert reach.geometry.border == "mirror" or reach.geometry.halo >= 64


def test_a_network_in_training_mode_with_dropout_is_not_exact():
    network = nn.Sequential(conv(2, 4), nn.Dropout(0.5), conv(4, 1))
    assert measure(network.eval(), 2).exact
    assert not measure(network.train(), 2).exact


def test_measuring_changes_nothing():
    network = unet().train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    measure(network, 2)
    assert network.training
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" for p in network.parameters())
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_precision_of_the_weights_does_not_matter(dtype):
    network = EXACT["bilinear gate"]()
    assert measure(network.to(dtype), 2) == measure(EXACT["bilinear gate"](), 2)


def test_a_field_beyond_the_limit_is_reported(monkeypatch):
    monkeypatch.setattr("napari_tincture.tiling.reach.LARGEST_HALO", 256)
    network = nn.Sequential(*[nn.Conv2d(2, 2, 3, padding=60, dilation=60) for _ in range(5)])
    reach = measure(network, 2)
    assert not reach.exact
    assert "larger than 256" in reach.reasons[0]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (nn.Conv2d(3, 1, 3, padding=1), ("channels",)),
        (nn.Conv2d(2, 1, 4, padding=1), ("64 × 64", "same size")),
        (nn.Sequential(conv(2, 1), nn.Flatten()), ("same size",)),
        (nn.Sequential(conv(2, 1), nn.AvgPool2d(2)), ("same size",)),
        (Fn(lambda _, x: (x, x)), ("tuple", "one tensor")),
    ],
)
def test_a_network_that_does_not_fit_is_refused(network, words):
    with pytest.raises(ModelError) as caught:
        measure(network, 2)
    assert all(word in str(caught.value) for word in words)


def test_a_network_is_measured_once():
    calls = []

    def forward(self, x):
        calls.append(x.device.type)
        return self.a(x)

    card = ModelCard("t", "stain", "t", (Channel("a"), Channel("b")), (Channel("c"),))
    model = Model(Fn(forward, a=conv(2, 1)), card)
    reach_of(model)
    before = len(calls)
    assert before
    assert reach_of(model) == reach_of(Model(model.network, card))
    assert len(calls) == before


UNET = {"in_channels": 2, "out_channels": 1, "depth": 2, "width": 4, "padded": True}


def _by_three(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)


def test_networks_of_one_structure_are_measured_once(monkeypatch):
    calls = []

    def counted(*args):
        calls.append(args)
        return measure(*args)

    monkeypatch.setattr(reach, "measure", counted)
    monkeypatch.setattr(reach, "_MEASURED", OncePerStructure())
    first, second = (model_of(build_network("unet", UNET), 2, 1) for _ in range(2))
    assert reach_of(first) == reach_of(second)
    assert len(calls) == 1
    # A layer that was exchanged since makes it another network.
    network = build_network("unet", UNET)
    name, layer = next((n, m) for n, m in network.named_modules() if _by_three(m))
    network.set_submodule(name, conv(layer.in_channels, layer.out_channels, 9))
    assert reach_of(model_of(network, 2, 1)).geometry.halo > reach_of(first).geometry.halo
    assert len(calls) == 2
    # Those with other options, too.
    reach_of(model_of(build_network("unet", {**UNET, "depth": 1}), 2, 1))
    assert len(calls) == 3
    # Batch norms that learn take statistics of the whole image.
    normed = {**UNET, "norm": "batch"}
    learning = model_of(build_network("unet", normed), 2, 1)
    learning.network.train()
    assert not reach_of(learning).exact
    assert reach_of(model_of(build_network("unet", normed), 2, 1)).exact
