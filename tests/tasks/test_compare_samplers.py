"""Samplers side by side: the same map and noise, times, and how far each is from the finest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painters import at_once, denoiser, label_map
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken

MODEL = denoiser()
LABELS = label_map(40, 44)
SETTINGS = [
    {"sampler": "ddim", "steps": 2},
    {"sampler": "ddim", "steps": 6},
    {"sampler": "dpm_solver", "steps": 3, "guidance": 2.0},
]


def test_each_setting_is_drawn_as_synthesize_draws_it() -> None:
    found = nt.compare_samplers(LABELS, MODEL, SETTINGS, seed=3)
    assert list(found.images) == [
        "ddim 2 steps", "ddim 6 steps", "dpm_solver 3 steps, guidance 2.0"
    ]  # fmt: skip
    finest = np.asarray(nt.synthesize(LABELS, MODEL, steps=6, seed=3))
    for setting, image, row in zip(SETTINGS, found.images.values(), found.table, strict=True):
        expected = np.asarray(nt.synthesize(LABELS, MODEL, seed=3, **setting))
        np.testing.assert_array_equal(np.asarray(image), expected)
        assert row["steps"] == setting["steps"]
        assert row["seconds"] > 0
        apart = expected.astype(float) - finest
        assert row["rmse"] == pytest.approx(np.sqrt((apart**2).mean()))
        assert row["ssim"] == pytest.approx(structural_similarity(expected, finest))
    assert found.table[1]["rmse"] == 0
    assert (1, "rmse") in found.best


def test_what_all_have_in_common_may_be_the_sampler_or_the_steps() -> None:
    found = nt.compare_samplers(LABELS, MODEL, [{"steps": 2}, {"steps": 3}], sampler="dpm_solver")
    assert list(found.images) == ["dpm_solver 2 steps", "dpm_solver 3 steps"]
    expected = np.asarray(nt.synthesize(LABELS, MODEL, sampler="dpm_solver", steps=2))
    np.testing.assert_array_equal(np.asarray(found.images["dpm_solver 2 steps"]), expected)


def test_a_reference_adds_figures_of_its_own() -> None:
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, LABELS.shape, np.uint8)
    found = nt.compare_samplers(LABELS, MODEL, SETTINGS[:2], reference=real)
    for image, row in zip(found.images.values(), found.table, strict=True):
        drawn = np.asarray(image)
        assert row["reference_ssim"] == pytest.approx(structural_similarity(drawn, real))
        assert row["reference_psnr"] == pytest.approx(peak_signal_noise_ratio(real, drawn))
    lines = found.to_markdown().splitlines()
    assert lines[0].startswith("| image | steps | seconds | rmse | ssim | reference_ssim")
    assert len(lines) == 4


def test_of_large_maps_the_middle_is_drawn_and_said_so() -> None:
    place = Placement.build(("y", "x"), scale=(0.5, 0.5), translate=(3.0, 7.0), units=("um",) * 2)
    source = nt.Raster.from_array(LABELS, "yx", kind="labels", placement=place)
    real = np.zeros(LABELS.shape, np.uint8)
    found = nt.compare_samplers(source, MODEL, SETTINGS[:2], largest=32, reference=real)
    image = found.images["ddim 2 steps"]
    assert image.shape == (32, 32)
    assert image.translate == (3.0 + 4 * 0.5, 7.0 + 6 * 0.5)
    assert "middle" in found.notes[0]
    expected = nt.synthesize(LABELS[4:36, 6:38], MODEL, steps=2)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    assert found.table[0]["reference_psnr"] == pytest.approx(
        peak_signal_noise_ratio(np.zeros((32, 32), np.uint8), np.asarray(expected))
    )


def test_colour_images_have_one_row_each() -> None:
    found = nt.compare_samplers(LABELS, denoiser(outputs=3), SETTINGS[:2])
    assert len(found.table) == 2
    assert all(image.rgb for image in found.images.values())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"model": at_once()}, "draws at once"),
        ({"settings": SETTINGS[:1]}, "two or more"),
        ({"settings": [SETTINGS[0], SETTINGS[0]]}, "given twice"),
        ({"settings": [{"steps": 0}, {"steps": 2}]}, "1 to 100"),
        ({"settings": [{"seed": 1}, {"seed": 2}]}, "seed"),
        ({"settings": [{"sampler": "magic"}, {}]}, "known are"),
        ({"labels": np.stack([LABELS, LABELS])}, "axes"),
        ({"labels": nt.open_image(np.stack([LABELS] * 2), axes="zyx")}, "'z': 2"),
        ({"reference": np.zeros(LABELS.shape, np.uint16)}, "uint16"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_drawn(
    how: dict[str, Any], message: str
) -> None:
    token = CancelToken()
    token.cancel()  # nothing is drawn
    given = {"labels": LABELS, "model": MODEL, "settings": SETTINGS, "cancel": token, **how}
    with pytest.raises(InputError, match=message):
        nt.compare_samplers(**given)


def test_cancelling_ends_it() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        nt.compare_samplers(LABELS, MODEL, SETTINGS, cancel=token)
