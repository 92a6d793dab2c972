"""What single pixels do to a network's output: slow, and independent of the package."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from napari_tincture.models.layers.layer_instance_norm import (
    AdaptiveLayerInstanceNorm,
    LayerInstanceNorm,
)
from napari_tincture.models.layers.spectral_norm import SpectralWeight

NORMS = (
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    nn.GroupNorm,
    AdaptiveLayerInstanceNorm,
    LayerInstanceNorm,
)


class Through(nn.Module):
    """Passes its first argument on, whatever else a norm is given."""

    def forward(self, x: Tensor, *_: Tensor) -> Tensor:
        return x


def without_norms(network: nn.Module) -> nn.Module:
    """A copy without norms, which remember the whole image."""
    result = copy.deepcopy(network)
    for module in list(result.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, NORMS):
                setattr(module, name, Through())
    return result


def positive(network: nn.Module) -> nn.Module:
    """A copy in which light adds up: positive weights, no biases, no norms, float64."""
    result = without_norms(network).double()
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            # Channels differ a little, so that no normalisation over them hides them.
            mean = 0.0 if name.endswith("bias") else 1 / math.prod(parameter.shape[1:])
            parameter.uniform_(0.5 * mean, 1.5 * mean)
    for module in result.modules():
        if isinstance(module, SpectralWeight):
            module.inverse_norm = lambda: 1.0
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


def dark(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 2, height, width, dtype=torch.float64, generator=generator)
    return 0.01 + 0.001 * noise


class Strip:
    """A network's output on a dark strip along an axis, which single pixels change."""

    def __init__(self, network: nn.Module, length: int, width: int, axis: int) -> None:
        self.network, self.axis = network, axis
        self.image = dark(*((length, width) if axis == 0 else (width, length)))
        self.before, self.known = run(network, self.image)

    def touched(self, along: range, across: int) -> tuple[int, int]:
        """First and last output position along the axis that some pixels in a row change."""
        image = self.image.clone()
        row = image.narrow(2 + self.axis, along.start, len(along))
        row.select(3 - self.axis, across).add_(1.0)
        after, _ = run(self.network, image, self.known)
        changed = (after != self.before).amax((0, 1)).any(1 - self.axis).nonzero().flatten()
        return int(changed[0]), int(changed[-1])


def phases(stride: int) -> list[range]:
    """Each place within a stride; of a long stride the first, and all at once."""
    places = range(stride)
    # Light adds up: what any of the places does is seen when all are lit.
    return [places[:1], places] if stride > 8 else [places[n : n + 1] for n in places]


def brute_halo(network: nn.Module, stride: int, margin: int, size: int) -> int:
    """The farthest that any pixel acts beyond an edge on the stride's multiples."""
    halo = 0
    width = size - (size - 64 - 2 * margin) // stride * stride
    middle, across = (n // 2 // stride * stride for n in (size, width))
    for axis in (0, 1):
        strip = Strip(network, size, width, axis)
        for phase in phases(stride):
            after = range(middle + phase.start, middle + phase.stop)
            before = range(middle - phase.stop, middle - phase.start)
            for lit in (after, before):
                first, last = (v + margin for v in strip.touched(lit, across))
                assert margin < first
                assert last < size - 1 - margin, "the image is too small for this check"
                beyond = middle - first if lit is after else last + 1 - middle
                halo = max(halo, math.ceil(beyond / stride) * stride)
    return halo
