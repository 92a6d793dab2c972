"""Losses of denoisers, against those of published programs and what they must be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import DATA, recorded, reference_network

import napari_tincture as nt
from napari_tincture.diffusion.estimate import estimated, noised
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.training.denoising import (
    Levels,
    by_image,
    distances,
    dropped,
    min_snr,
    variational_bound,
    wanted,
)

SDM = {
    "in_channels": 5, "num_channels": 32, "channel_mult": (1, 1), "num_res_blocks": 1,
    "image_size": 32, "attention_resolutions": (16,), "num_head_channels": 16,
}  # fmt: skip
NOISE = 2.25e-6
"""What float32 and float64 runs of the published programs differ by, in their outputs."""


def test_the_losses_of_a_semantic_diffusion_model_are_the_published_ones() -> None:
    file = "sdm_tiny_learnsigma/ema_0.9999_000010.pt"
    network = reference_network(file, "semantic_diffusion", "denoisers", **SDM).eval()
    known, schedule = recorded("sdm_tiny_learnsigma"), noise_schedule("linear", 1000)
    image, noise, index = known["x0"], known["noise"], known["t_train"].float()
    share = by_image(torch.from_numpy(schedule.alpha_bars[known["t_train"].numpy()]))
    x = noised(image, noise, share)
    with torch.inference_mode():
        output = network(x, index, known["y"])
        apart = distances(output[:, :3], wanted(image, noise, share, "noise"), "mse")
        guess, _ = estimated(x, output[:, :3], share, "noise")
        bound = variational_bound(schedule, image, x, index, guess, output[:, 3:])
    # Squares of numbers of size 1, and their mean.
    torch.testing.assert_close(apart, known["loss_mse"], rtol=0, atol=20 * NOISE)
    # A guess's error is divided by the deviation of the first step, 0.0074.
    torch.testing.assert_close(bound, known["loss_vb"], rtol=0, atol=10 * NOISE / 0.0074)


def test_the_loss_of_sr3_is_the_published_one() -> None:
    file = DATA / "sr3_tiny_sr3/I10_E1_gen.pth"
    network = nt.import_checkpoint(file, norm_groups=8, image_size=32).network
    known = recorded("sr3_tiny_sr3")
    schedule = noise_schedule("linear", 20, start=1e-6, end=1e-2)
    levels = np.concatenate([[1.0], np.sqrt(schedule.alpha_bars)])
    step, place = int(known["loss_t"]), known["loss_u"]
    level = levels[step - 1] + (levels[step] - levels[step - 1]) * place
    x = noised(known["HR"], known["loss_noise"], by_image(level.square()))
    with torch.inference_mode():
        output = network(x, level.float(), known["SR"])
    loss = distances(output, known["loss_noise"], "l1").mean().item()
    # The published loss is the sum over all values, which the log divides by their number.
    assert abs(loss * output.numel() - float(known["loss_sum"])) < 10 * NOISE * output.numel()


@pytest.mark.parametrize("continuous", [False, True])
def test_levels_are_of_the_schedule_and_told_as_such(continuous: bool) -> None:
    schedule = noise_schedule("cosine", 50)
    levels = Levels(schedule, continuous)
    torch.manual_seed(0)
    for draw in (levels.draw, levels.spread):
        told, shares = draw(64, torch.device("cpu"))
        assert told.dtype == torch.float32
        assert shares.dtype == torch.float64
        low, high = float(schedule.alpha_bars[-1]), 1.0
        assert ((shares >= low) & (shares <= high)).all()
        if continuous:
            torch.testing.assert_close(told.double().square(), shares, atol=1e-6, rtol=0)
        else:
            found = torch.from_numpy(schedule.alpha_bars)[told.long()]
            torch.testing.assert_close(found, shares)


def test_drawn_levels_reach_all_steps_and_lie_between_neighbours() -> None:
    schedule = noise_schedule("linear", 8)
    edges = np.concatenate([[1.0], np.sqrt(schedule.alpha_bars)])[::-1]
    torch.manual_seed(0)
    seen = set()
    for _ in range(100):
        told, _ = Levels(schedule, True).draw(4, torch.device("cpu"))
        # One step for a batch.
        (step,) = set(np.searchsorted(edges, told.double().numpy()))
        seen.add(int(step))
    assert seen == set(range(1, 9))


@pytest.mark.parametrize("predicts", ["noise", "image", "velocity"])
def test_min_snr_makes_all_predictions_count_as_of_the_image(predicts: str) -> None:
    share = torch.tensor([0.01, 0.5, 0.9, 0.999], dtype=torch.float64)
    ratio = share / (1 - share)
    # One error of the image, as an error of what is predicted: its square by these factors.
    squares = {"image": torch.ones(4), "noise": ratio, "velocity": ratio + 1}[predicts]
    weight = min_snr(share, 5.0, predicts)  # type: ignore[arg-type]
    torch.testing.assert_close(weight.double() * squares, ratio.clamp_max(5.0), rtol=1e-5, atol=0)
    assert (min_snr(share, 0.0, predicts) == 1).all()  # type: ignore[arg-type]


def test_maps_are_dropped_whole() -> None:
    torch.manual_seed(0)
    condition = torch.ones(400, 2, 3, 3)
    found = dropped(condition, 0.25)
    sums = found.flatten(1).sum(1)
    assert set(sums.tolist()) == {0.0, 18.0}
    assert 60 < (sums == 0).sum() < 140
    assert dropped(condition, 0.0) is condition


def test_the_bound_is_least_where_variance_is_the_posteriors() -> None:
    schedule = noise_schedule("linear", 100)
    torch.manual_seed(1)
    image, noise = torch.rand(1, 1, 8, 8) * 2 - 1, torch.randn(1, 1, 8, 8)
    index = torch.tensor([50.0])
    x = noised(image, noise, schedule.alpha_bar(50))
    bounds = [
        float(variational_bound(schedule, image, x, index, image, torch.full_like(image, v)))
        for v in (-1.0, 0.0, 1.0)
    ]
    # The guess is perfect: what is left to learn is that nothing is unknown.
    assert bounds[0] == pytest.approx(0, abs=1e-6)
    assert bounds[0] < bounds[1] < bounds[2]
