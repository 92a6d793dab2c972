"""Realism as the share of real patches that score lower."""

from __future__ import annotations

import numpy as np
import pytest
from models import CONTEXT, check_equal, image_of
from two_way import TANH, noisy, two_way

import napari_tincture as nt
from napari_tincture import Raster, calibrate, stain
from napari_tincture.errors import InputError
from napari_tincture.models import Model, Normalisation
from napari_tincture.tasks import calibrate as module


def real(seed: int, shape=(2, 64, 80)) -> Raster:
    return Raster.from_array(image_of(shape, seed=seed), "cyx", name=f"real {seed}")


def identity_there(model: Model) -> Model:
    """The model with a generator that gives its input: its stains are as real as its inputs."""
    from networks import Fn

    parts = {name: model.part(name) for name in model.card.parts}
    return Model(Fn(lambda _, x: x * 1), model.card, parts)


@pytest.mark.parametrize("judges", ["patch", "multiscale", "ugatit"])
def test_real_images_lie_evenly_between_0_and_1(judges: str) -> None:
    model = identity_there(two_way(judges, target_normalisation=TANH))
    images = [real(1), real(2)]
    found = calibrate(model, images, tile=40)
    quantiles = np.array(found.card.calibration)
    assert quantiles.shape == (101,)
    assert (np.diff(quantiles) >= 0).all()
    assert found.network is model.network
    realism = np.concatenate(
        [np.ravel(stain(image, found, outputs=("realism",), tile=40)) for image in images]
    )
    shares = np.quantile(realism, np.linspace(0, 1, 21))
    # Within a hundredth: quantiles are as far apart.
    np.testing.assert_allclose(shares, np.linspace(0, 1, 21), atol=0.012)


def test_pairs_are_judged_together() -> None:
    percentiles = Normalisation("percentile", 1, 99, (-1, 1))
    model = two_way("pair", target_normalisation=percentiles)
    pair = (real(3), real(4))
    found = calibrate(model, [pair], tile=40)
    import torch

    values = [torch.from_numpy(np.asarray(image))[None] for image in pair]
    source = values[0].float() / 127.5 - 1
    stats = np.stack([percentiles.measure(values[1][0].numpy())])
    gains = np.array([percentiles.affine(own) for own in stats])
    gain, offset = (torch.from_numpy(gains[:, i].astype(np.float32)) for i in (0, 1))
    target = values[1].float() * gain[..., None, None] + offset[..., None, None]
    from napari_tincture.models.realism import Realism

    with torch.inference_mode():
        scores = Realism.of(model).scores(source, target).numpy()
    expected = np.quantile(scores, np.linspace(0, 1, 101))
    check_equal(found.card.calibration, expected, CONTEXT)


def test_many_scores_are_kept_on_a_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = two_way()
    every = np.array(calibrate(model, [real(5)], tile=40).card.calibration)
    monkeypatch.setattr(module, "MOST_SCORES", 64 * 80 // 4)
    some = np.array(calibrate(model, [real(5)], tile=32).card.calibration)
    assert np.abs(some - every)[5:-5].max() < 0.2 * every.std()
    assert (some != every).any()


def test_it_is_kept_with_the_model(tmp_path) -> None:
    path = two_way().save(tmp_path / "two.safetensors")
    found = calibrate(path, [real(6)], tile=40)
    again = nt.load_model(found.save(tmp_path / "calibrated.safetensors"))
    assert again.card.calibration == pytest.approx(found.card.calibration)
    assert nt.load_model(path).card.calibration == ()


def test_planes_of_a_stack_all_count() -> None:
    model = two_way()
    stack = image_of((2, 2, 48, 48))
    whole = calibrate(model, [Raster.from_array(stack, "zcyx")], tile=40)
    single = calibrate(model, [Raster.from_array(p, "cyx") for p in stack], tile=40)
    check_equal(whole.card.calibration, np.array(single.card.calibration), CONTEXT)


@pytest.mark.parametrize(
    ("model", "images", "words"),
    [
        (noisy(), [real(1)], "keeps no discriminator"),
        (two_way(), [], "Got no image"),
        (two_way("pair"), [real(1)], "judges pairs"),
        (two_way("pair"), [(real(1), real(2, (2, 32, 32)))], "one grid"),
    ],
)
def test_what_cannot_be_calibrated(model: Model, images, words: str) -> None:
    with pytest.raises(InputError, match=words):
        calibrate(model, images)
