from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cells import discs, named
from torch import Tensor, nn
from translations import small_recipe

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.model import Model
from napari_tincture.training.corruption import Corruption
from napari_tincture.training.images.material import open_material
from napari_tincture.training.objectives import segmentation
from napari_tincture.training.objectives.autoencoder import Weights, build, parts
from napari_tincture.training.presets import preset
from napari_tincture.training.translate import Run, train_translation
from napari_tincture.training.translation import TranslationRecipe

NARROW = {"depth": 2, "width": 4, "max_width": 8, "norm": "batch", "residual": False}


class Gain(nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def slope(factor: float, image: Tensor, **options: float) -> float:
    """Of the loss by the factor; the corruption is always the same."""
    network = Gain(factor)
    torch.manual_seed(0)
    build({"forward": network}, **options).step(
        {"a": image, "b": image}, lambda group, loss: loss.backward()
    )
    assert network.factor.grad is not None
    return float(network.factor.grad)


def test_the_best_gain_is_wiener_s() -> None:
    draws = torch.Generator().manual_seed(1)
    image = torch.randn(256, 1, 1, 1, generator=draws).expand(256, 1, 16, 16)
    signal, noise = float(image.square().mean()), 0.7
    at_0, at_1 = (slope(g, image, noise=noise, impulses=0.0) for g in (0.0, 1.0))
    # A parabola's least point; 65,536 draws know variances to 0.6 %.
    assert at_0 / (at_0 - at_1) == pytest.approx(signal / (signal + noise**2), rel=0.01)
    at_0, at_1 = (slope(g, image, mode="plain") for g in (0.0, 1.0))
    assert at_0 / (at_0 - at_1) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("only", [False, True])
def test_the_loss_counts_everywhere_or_where_pixels_are_masked(only: bool) -> None:
    draws = torch.Generator().manual_seed(1)
    image, target = (torch.rand(2, 3, 24, 24, generator=draws) for _ in range(2))
    weight = torch.zeros(2, 1, 24, 24)
    weight[..., 6:, :] = 1
    torch.manual_seed(0)
    shown, masked = Corruption("masked", hole=6)(image)
    objective = build({"forward": Gain()}, Weights(l1=2.0), mode="masked", hole=6, masked_only=only)
    for pixels in (None, weight):
        batch = {"a": image, "b": target} | ({} if pixels is None else {"weight": pixels})
        torch.manual_seed(0)
        found = objective.step(batch, lambda *_: None)["loss"]
        counted = (masked if only else torch.ones_like(masked)) * (1 if pixels is None else pixels)
        chosen = (shown - target)[counted.expand_as(image) > 0]
        # Means over up to 3,456 values in float32.
        torch.testing.assert_close(found, chosen.square().mean() + 2 * chosen.abs().mean())


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(InputError, match="no loss"):
        build({"forward": Gain()}, Weights(mse=0.0))
    with pytest.raises(InputError, match="mode='denoising' masks nothing"):
        build({"forward": Gain()}, masked_only=True)
    with pytest.raises(InputError, match="equally many channels"):
        preset("autoencoder", "tiny", in_channels=1, out_channels=3)


@pytest.mark.parametrize("size", ["tiny", "standard", "large"])
def test_sizes_have_the_encoders_of_segmentation(size: str) -> None:
    own = parts(size)["forward"].options["encoder_options"]  # type: ignore[arg-type]
    theirs = segmentation.parts(size)["forward"].options  # type: ignore[arg-type]
    assert own.items() <= theirs.items()


def grey(count: int) -> list[np.ndarray]:
    return [discs(seed)[0] for seed in range(count)]


def prepared(folder: Path) -> Model:
    """An autoencoder, trained for a moment."""
    recipe = small_recipe("autoencoder", crop=32, steps=2, options={"mode": "masked", "hole": 8})
    options = {"encoder_options": NARROW, "width": 4}
    part = recipe.networks["forward"]
    recipe = recipe.replace(networks={"forward": Part("autoencoder", {**part.options, **options})})
    images = [named(image, f"field-{n}") for n, image in enumerate(grey(3))]
    model, _ = train_translation(recipe, open_material(recipe, images={"a": images}), Run())
    return Model.from_file(model.save(folder / "prepared.safetensors"))


def begun_with(start: Model) -> TranslationRecipe:
    made = preset("segmentation", "tiny", steps=1, crop=32, lr=1e-9, ema=0.0, start=str(start.path))
    part = Part("unet", {**made.networks["forward"].options, **NARROW, "dropout": 0.0})
    return made.replace(networks={"forward": part})


@pytest.mark.filterwarnings("ignore:.*no better than a constant prediction")
def test_segmentation_begins_with_the_encoder_and_says_so(tmp_path: Path) -> None:
    autoencoder = prepared(tmp_path)
    assert len(autoencoder.card.image_inputs) == len(autoencoder.card.outputs) == 1
    recipe = begun_with(autoencoder)
    fields = [discs(seed) for seed in range(3)]
    material = open_material(
        recipe, images={"image": [a for a, _ in fields], "labels": [1 + (b > 0) for _, b in fields]}
    )
    assert material.train.pairs is not None
    seen = material.train.pairs.a.pictures[0].normalisation
    assert seen == autoencoder.card.normalisation, "both see the same values"
    model, _ = train_translation(recipe, material, Run())
    given, own = autoencoder.network.state_dict(), model.network.state_dict()
    shared = [key for key in own if f"encoder.{key}" in given and key.endswith("weight")]
    assert len(shared) == 12
    for key in shared:
        # One step of Adam moves each weight by 1e-9 at most.
        torch.testing.assert_close(own[key], given[f"encoder.{key}"], rtol=0, atol=1e-8)
    assert model.card.start.startswith(f"{autoencoder.card.name}: the encoder, 36 tensors (down.0")
