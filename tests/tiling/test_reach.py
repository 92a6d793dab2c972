"""What is measured of a network is what pixels, moved one by one, do to its output."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from networks import EXACT, INEXACT, Fn, conv, unet
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from napari_tincture.errors import ModelError
from napari_tincture.models import Channel, Model, ModelCard
from napari_tincture.tiling.reach import measure, reach_of

NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)


def without_norms(network: nn.Module) -> nn.Module:
    """A copy without norms, which remember the whole image."""
    result = copy.deepcopy(network)
    for module in list(result.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, NORMS):
                setattr(module, name, nn.Identity())
    return result


def positive(network: nn.Module) -> nn.Module:
    """A copy in which light adds up: positive weights, no biases, no norms, float64."""
    result = without_norms(network).double()
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            # Channels differ a little, so that no normalisation over them hides them.
            mean = 0.0 if name.endswith("bias") else 1 / math.prod(parameter.shape[1:])
            parameter.uniform_(0.5 * mean, 1.5 * mean)
    return result


class Held(TorchDispatchMode):
    """Gives the values that reductions had in an earlier run; independent of the package's own."""

    names = ("mean", "var", "std", "adaptive_avg_pool2d", "adaptive_max_pool2d")

    def __init__(self, known: list | None) -> None:
        super().__init__()
        self.known, self.values = known, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "layer_norm":
            return args[0].clone() if args[1][-1] > 16 else result
        if name not in self.names:
            return result
        shape = (result[0] if isinstance(result, tuple) else result).shape
        if shape[-1:] == args[0].shape[-1:]:
            return result
        self.values.append(result)
        return result if self.known is None else self.known[len(self.values) - 1]


def run(network: nn.Module, image: Tensor, known: list | None = None) -> tuple[Tensor, list]:
    with torch.inference_mode(), Held(known) as held:
        return network(image), held.values


def dark(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.01 + 0.001 * torch.rand(1, 2, size, size, dtype=torch.float64, generator=generator)


def touched(network: nn.Module, size: int, place: tuple[int, int], axis: int) -> tuple[int, int]:
    """First and last output position along an axis that one pixel changes."""
    before, known = run(network, dark(size))
    image = dark(size)
    image[:, :, place[0], place[1]] += 1.0
    after, _ = run(network, image, known)
    changed = (after != before).amax((0, 1)).any(1 - axis).nonzero().flatten()
    return int(changed[0]), int(changed[-1])


def brute_halo(network: nn.Module, stride: int, margin: int, size: int) -> int:
    """The farthest that any pixel of any phase acts beyond an edge on the stride's multiples."""
    halo = 0
    middle = size // 2 // stride * stride
    for axis in (0, 1):
        for phase in range(stride):
            for q, edge in ((middle + phase, middle), (middle - 1 - phase, middle)):
                place = (q, middle) if axis == 0 else (middle, q)
                first, last = (v + margin for v in touched(network, size, place, axis))
                assert margin < first
                assert last < size - 1 - margin, "the image is too small for this check"
                beyond = edge - first if q >= edge else last + 1 - edge
                halo = max(halo, math.ceil(beyond / stride) * stride)
    return halo


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
