from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.multiscale import build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
NOISE = 2.6e-6
"""What float32 and float64 runs of the published implementation differ by."""


def test_published_size() -> None:
    with torch.device("meta"):
        network = build(39)
    assert sum(p.numel() for p in network.parameters()) == 5_603_202


def test_a_published_checkpoint_gives_the_published_scores_and_features() -> None:
    network = build(9, ndf=8)
    file = DATA / "pix2pixhd_tiny_global" / "latest_net_D.pth"
    fill_network(network, read_checkpoint(file), file.name)
    recorded = np.load(DATA / "pix2pixhd_tiny_global.npz")
    shown = np.concatenate([recorded["input_label"], recorded["G"]], 1, dtype=np.float32)
    with torch.inference_mode():
        result = network(torch.from_numpy(shown))
    assert [len(maps) for maps in result] == [5, 5]
    for scale, maps in enumerate(result):
        np.testing.assert_allclose(
            maps[-1].numpy(), recorded[f"D{scale}_pred"], rtol=0, atol=10 * NOISE
        )
        means = [values.abs().mean().item() for values in maps]
        np.testing.assert_allclose(means, recorded[f"D{scale}_feat_absmean"], rtol=1e-5)


@pytest.mark.parametrize(("name", "scales"), [("D_A", 1), ("D_B", 2)])
def test_a_checkpoint_without_features_gives_the_published_scores(name: str, scales: int) -> None:
    network = build(3, ndf=8, num_D=scales, features=False)
    file = DATA / "bayes_cyclegan_tiny_z" / f"latest_net_{name}.pth"
    fill_network(network, read_checkpoint(file), file.name)
    recorded = np.load(DATA / "bayes_cyclegan_tiny_z.npz")
    with torch.inference_mode():
        result = network(torch.from_numpy(recorded["x"]))
    for scale, (scores,) in enumerate(result):
        np.testing.assert_allclose(
            scores.numpy(), recorded[f"{name}_scale{scale}"], rtol=0, atol=10 * NOISE
        )


def test_features_change_names_and_no_number() -> None:
    torch.manual_seed(0)
    options = {"ndf": 2, "n_layers": 2, "norm": "batch"}
    plain, detailed = build(3, features=False, **options), build(3, **options)
    values = list(plain.state_dict().values())
    detailed.load_state_dict(dict(zip(detailed.state_dict(), values, strict=True)))
    image = torch.randn(2, 3, 32, 40)
    for scores, maps in zip(plain.eval()(image), detailed.eval()(image), strict=True):
        torch.testing.assert_close(scores[-1], maps[-1], rtol=0, atol=0)


def test_widths_stop_at_512() -> None:
    with torch.device("meta"):
        state = build(3, n_layers=5).state_dict()
    assert state["scale0_layer4.0.weight"].shape == (512, 512, 4, 4)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ModelError, match="num_D"):
        build(num_D=0)
