from __future__ import annotations

import pytest
import torch
from norms import with_statistics
from torch import Tensor
from torch.nn import functional as F

from napari_tincture.errors import ModelError
from napari_tincture.models.encoders.resnet import build

COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def published(state: dict[str, Tensor], x: Tensor, counts: tuple[int, ...]) -> list[Tensor]:
    """The network of the paper, from torchvision's names alone."""

    def step(x: Tensor, conv: str, norm: str, stride: int) -> Tensor:
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        mean, var, gain, bias = (
            state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, gain, bias)

    features = [step(x, "conv1", "bn1", 2).relu()]
    x = F.max_pool2d(F.pad(features[0], (1, 1, 1, 1), value=-torch.inf), 3, 2)
    for number, count in enumerate(counts, 1):
        for block in range(count):
            name, stride = f"layer{number}.{block}", 2 if number > 1 and block == 0 else 1
            change = step(x, f"{name}.conv1", f"{name}.bn1", stride).relu()
            change = step(change, f"{name}.conv2", f"{name}.bn2", 1)
            if stride == 2:
                x = step(x, f"{name}.downsample.0", f"{name}.downsample.1", 2)
            x = (x + change).relu()
        features.append(x)
    return features


@pytest.mark.parametrize(("layers", "parameters"), [(18, 11_689_512), (34, 21_797_672)])
def test_the_published_networks_but_their_classifier(layers: int, parameters: int) -> None:
    with torch.device("meta"):
        network = build(layers=layers)
    classifier = 512 * 1000 + 1000
    assert sum(p.numel() for p in network.parameters()) == parameters - classifier
    torch.manual_seed(0)
    small = with_statistics(build(layers=layers, width=2)).double()
    image = torch.randn(1, 3, 64, 32, dtype=torch.float64)
    with torch.no_grad():
        found = small(image)
        expected = published(small.state_dict(), image, COUNTS[layers])
    assert [64 // f.shape[2] for f in found] == [2, 4, 8, 16, 32] == list(small.strides)
    assert [f.shape[1] for f in found] == [2, 2, 4, 8, 16] == list(small.channels)
    for one, other in zip(found, expected, strict=True):
        # float64 rounding, through 34 layers at most.
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_a_shallow_one_is_the_first_part() -> None:
    torch.manual_seed(0)
    deep, shallow = build(width=2).eval(), build(depth=2, width=2).eval()
    state = deep.state_dict()
    shallow.load_state_dict({k: v for k, v in state.items() if not shallow.lies_behind(k)})
    image = torch.randn(1, 3, 32, 32)
    for one, other in zip(shallow(image), deep(image), strict=False):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("options", [{"layers": 50}, {"depth": 6}, {"width": 0}])
def test_impossible_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=r"18 or 34 layers"):
        build(**options)
