"""The network of LPIPS: AlexNet, and what the differences of its features weigh.

Zhang, Isola, Efros, Shechtman, Wang (2018), The unreasonable effectiveness of deep features as a
perceptual metric, equation 1, version 0.1, on AlexNet (Krizhevsky 2014, One weird trick for
parallelizing convolutional neural networks). The names of its weights are those of the authors'
package.

It maps two images to a distance, so is no architecture of a model that maps images to images.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from napari_tincture.models.user_weights import LPIPS

WIDTHS = 3, 64, 192, 384, 256, 256
"""Channels of an image, and after each convolution of AlexNet."""
_EPS = 1e-10
"""Beside the length of a place's features: where there are none, they stay 0."""


class Scaling(nn.Module):
    """From [-1, 1] to the mean and deviation of ImageNet, as AlexNet saw it."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("shift", (-0.030, -0.088, -0.188)), ("scale", (0.458, 0.448, 0.450))):
            self.register_buffer(name, torch.tensor(values)[None, :, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3, y, x) → the same shape."""
        return (images - self.shift) / self.scale


class AlexNet(nn.Module):
    """The five convolutions; pools of 3 × 3 pixels, every second, before the second and third."""

    def __init__(self) -> None:
        super().__init__()
        shapes = (11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)
        # The second number is the place among all layers, which the names of the weights hold.
        places = zip((0, 3, 6, 8, 10), pairwise(WIDTHS), shapes, strict=True)
        for number, (place, (inputs, outputs), (kernel, stride, padding)) in enumerate(places, 1):
            layer = nn.Conv2d(inputs, outputs, kernel, stride, padding)
            self.add_module(f"slice{number}", nn.Sequential(OrderedDict({str(place): layer})))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(b, 3, y, x) → features after each ReLU, (b, c, y', x')."""
        features = []
        for number, layer in enumerate(self.children()):
            x = functional.max_pool2d(x, 3, 2) if number in (1, 2) else x
            x = functional.relu(layer(x))
            features.append(x)
        return features


class Head(nn.Module):
    """Weights of the channels' differences, 0 or more."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        weights = nn.Conv2d(inputs, 1, 1, bias=False)
        nn.init.uniform_(weights.weight)
        self.model = nn.Sequential(nn.Dropout(), weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, y, x)."""
        weighed: torch.Tensor = self.model(x)
        return weighed[:, 0]


class Lpips(nn.Module):
    """Distances of two images, place by place in each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scaling_layer = Scaling()
        self.net = AlexNet()
        for number, width in enumerate(WIDTHS[1:]):
            self.add_module(f"lin{number}", Head(width))

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
        """Compare images (b, 3, y, x) of values in [-1, 1], 31 pixels wide and high at least.

        Returns
        -------
        list of (b, y', x')
            Of each of the five layers. Places lie 4, 8, 16, 16 and 16 pixels apart. The mean over
            a layer's places, summed over layers, is LPIPS.
        """
        result = []
        for number, pair in enumerate(zip(*(self._features(v) for v in (one, other)), strict=True)):
            head = self.get_submodule(f"lin{number}")
            result.append(head((pair[0] - pair[1]).square()))
        return result

    def _features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Of length 1 at each place."""
        found = self.net(self.scaling_layer(images))
        return [x / (x.square().sum(1, keepdim=True).sqrt() + _EPS) for x in found]


def load_lpips(path: str | os.PathLike[str] | None = None) -> Lpips:
    """Build the network with the weights of the user's file.

    Parameters
    ----------
    path
        State dict of ``lpips.LPIPS(net="alex")``, of torch or as ``.safetensors``. None: the file
        that the environment variable NAPARI_TINCTURE_LPIPS names.

    Returns
    -------
    Lpips
        In evaluation mode, on the CPU.

    Raises
    ------
    InputError
        If no file is given, or it is not there.
    ModelError
        If it is damaged, contains code, or holds the weights of another network.
    """
    network = Lpips()
    LPIPS.fill(
        network,
        path,
        # The package lists its heads a second time.
        spare=lambda key: key.startswith("lins."),
        # Constants, which not every version wrote.
        own=lambda key: key.startswith("scaling_layer."),
    )
    return network
