from __future__ import annotations

import pytest

from napari_tincture.errors import InputError
from napari_tincture.training.presets import for_channels, longer, preset


def test_the_published_staining_of_blood_cells_can_be_expressed() -> None:
    recipe = preset(
        "ugatit", networks={"n_res": 6}, crop=256, batch=1, lr=1e-4, weight_decay=1e-4,
        decay="exponential", factor=0.9, every=2, unit="epochs", epoch=500, steps=30_000,
    )  # fmt: skip
    forward = recipe.networks["forward"]
    assert (forward.options["n_res"], forward.options["img_size"]) == (6, 256)
    assert not forward.options["light"]
    assert (recipe.sampling.crop, recipe.sampling.batch) == (256, 1)
    rates = [recipe.schedule.rate(step) for step in (0, 1000, 29_999)]
    assert rates == pytest.approx([1e-4, 0.9e-4, 1e-4 * 0.9 ** (29_999 / 1000)])
    assert (recipe.schedule.optimiser, recipe.schedule.betas) == ("adam", (0.5, 0.999))


def test_linear_decay_begins_halfway_in_its_own_unit() -> None:
    steps = preset("cyclegan", steps=1001)
    assert steps.schedule.hold == 500
    epochs = preset("cyclegan", steps=200, unit="epochs", epoch=10)
    assert epochs.schedule.hold == 10
    assert preset("cyclegan", steps=100, hold=80).schedule.hold == 80
    assert preset("pix2pix", steps=100, decay="constant").schedule.hold == 0


def test_images_of_the_networks_have_the_size_of_the_crops() -> None:
    assert preset("ugatit", crop=128).networks["backward"].options["img_size"] == 128
    assert preset("laplacian").sampling.crop == 2 * preset("cyclegan").sampling.crop


@pytest.mark.parametrize("family", ["cyclegan", "attentiongan", "laplacian"])
def test_domains_of_unequal_channels_have_no_identity_loss(family: str) -> None:
    recipe = preset(family, in_channels=1)
    assert recipe.weights == {"identity": 0.0}
    assert for_channels(recipe, 1, 3)
    assert preset(family, in_channels=1, weights={"cycle_a": 5.0}).weights["cycle_a"] == 5.0
    with pytest.raises(InputError, match=r"U-GAT-IT needs equally many.*channels=\[0, 0, 0\]"):
        preset("ugatit", in_channels=1)


def test_channels_of_noise_are_no_channels_of_the_images() -> None:
    recipe = preset("bayesian_cyclegan", in_channels=2, out_channels=1)
    assert recipe.networks["forward"].options["in_channels"] == 3
    assert for_channels(recipe, 2, 1)


def test_settings_find_their_place() -> None:
    recipe = preset(
        "pix2pix",
        lr=0.1,
        foreground=0.5,
        flips=(True, True),
        card={"licence": "CC0"},
        seed=7,
        name="x",
    )
    assert (recipe.schedule.lr, recipe.sampling.foreground) == (0.1, 0.5)
    assert recipe.sampling.augment.flips == (True, True)
    assert recipe.card == {"licence": "CC0"}
    assert recipe.schedule.seed == recipe.sampling.seed == 7
    assert longer(recipe, 60_000).schedule.steps == 60_000
    with pytest.raises(InputError, match="Unknown size 'huge'"):
        preset("pix2pix", "huge")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Unknown family 'magic'"):
        preset("magic")
