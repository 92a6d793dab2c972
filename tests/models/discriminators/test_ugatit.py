from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.discriminators.ugatit import SMALL, build
from napari_tincture.models.published import read_state_dicts
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
CHECKPOINT = DATA / "ugatit_tiny_full_params_0000000.pt"
NOISE = 1.0e-5
"""What float32 and float64 runs of the published implementation differ by."""


@pytest.mark.parametrize(("n_layers", "count"), [(7, 53_130_176), (5, 3_290_560)])
def test_published_sizes(n_layers: int, count: int) -> None:
    with torch.device("meta"):
        network = build(n_layers=n_layers)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(
    ("name", "n_layers"), [("disGA", 7), ("disGB", 7), ("disLA", 5), ("disLB", 5)]
)
def test_a_published_checkpoint_gives_the_published_numbers(name: str, n_layers: int) -> None:
    network = build(ndf=4, n_layers=n_layers).eval()
    fill_network(network, read_state_dicts(CHECKPOINT)[name], CHECKPOINT.name)
    recorded = np.load(DATA / "ugatit_tiny_full.npz")
    x = torch.from_numpy(recorded["x"])
    with torch.inference_mode():
        known = network.detailed(x)
        torch.testing.assert_close(known["scores"], network(x), rtol=0, atol=0)
    for key, ending in {"scores": "out", "cam_logit": "cam_logit", "heatmap": "heatmap"}.items():
        expected = recorded[f"{name}_{ending}"]
        np.testing.assert_allclose(known[key].numpy(), expected, rtol=0, atol=10 * NOISE)


def test_images_too_small_to_judge_are_refused() -> None:
    network = build(**SMALL).eval()
    assert network(torch.rand(1, 2, 6, 7)).shape == (1, 1, 1, 1)
    with pytest.raises(InputError, match="at least 6 pixels a side, got 9 × 5"):
        network(torch.rand(1, 2, 9, 5))


@pytest.mark.parametrize("options", [{"ndf": 0}, {"n_layers": 2}])
def test_impossible_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ModelError):
        build(**options)
