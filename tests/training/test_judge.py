from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import nn
from translations import fields, images_for, small_recipe

from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import Material, open_material, windows
from napari_tincture.training.judge import Judge, likeness


class Grey(nn.Module):
    """Makes one grey of everything."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x[:, :3])


def material(family: str, images: dict[str, Any] | None = None) -> Material:
    recipe = small_recipe(family)
    return open_material(recipe, images=images or images_for(recipe))


def judge(family: str, images: dict[str, Any] | None = None) -> Judge:
    return Judge(small_recipe(family), material(family, images).validation)


def test_likeness_is_that_of_independent_implementations() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((3, 20, 24))
    reference = 0.5 * image + 0.5 * rng.random((3, 20, 24))
    found = likeness(image, reference)
    mse = np.mean((image - reference) ** 2)
    expected = {
        "ssim": structural_similarity(image, reference, channel_axis=0, data_range=1.0),
        "psnr": 10 * math.log10(1 / mse),
        "mse": mse,
        "pearson": np.corrcoef(image.ravel(), reference.ravel())[0, 1],
    }
    assert found == pytest.approx(expected)
    assert likeness(image, np.ones_like(image))["pearson"] == 0


def test_what_is_right_is_judged_best() -> None:
    a = fields(3, seed=1)
    own = judge("pix2pix", {"pairs": {"a": a, "b": a}})
    best, grey = own({"forward": nn.Identity()}), own({"forward": Grey()})
    assert (best["ssim"], best["mse"], best["pearson"]) == pytest.approx((1, 0, 1))
    assert best["score"] > grey["score"]
    assert "cycle_error" not in best


def test_without_pairs_results_are_compared_with_real_images() -> None:
    a = fields(3, seed=1)
    own = judge("cyclegan", {"a": a, "b": a})
    there = {"forward": nn.Identity(), "backward": nn.Identity()}
    same, grey = own(there), own({**there, "forward": Grey()})
    assert same["frechet"] < 1e-2 < grey["frechet"]
    assert (same["cycle_error"], same["score"] > grey["score"]) == (0, True)
    # Grey is the middle of the range: it is off by the mean distance from it.
    values = np.stack([np.asarray(image) for image in a]) / 127.5 - 1
    assert grey["cycle_error"] == pytest.approx(np.abs(values).mean() / 2, rel=0.1)
    assert "ssim" not in same


def test_a_few_pairs_beside_domains_are_compared_pixel_by_pixel() -> None:
    a = fields(3, seed=1)
    own = judge("cyclegan", {"a": a, "b": a, "pairs": {"a": a, "b": a}})
    found = own({"forward": nn.Identity(), "backward": nn.Identity()})
    assert found["ssim"] == pytest.approx(1)
    assert "frechet" not in found


def test_networks_with_noise_are_given_the_same_every_time() -> None:
    own = judge("bayesian_cyclegan")
    networks = small_recipe("bayesian_cyclegan").build_networks()
    assert own(networks) == own(networks)


def test_there_may_be_nothing_to_look_at() -> None:
    recipe = small_recipe("cyclegan", split={"validation": 0.0})
    assert not Judge(recipe, open_material(recipe, images=images_for(recipe)).validation).sees


def test_images_of_label_maps_are_compared_with_the_real_ones() -> None:
    recipe = small_recipe("spade")
    part = open_material(recipe, images=images_for(recipe))
    recipe, part = fitted(recipe, part)
    assert part.validation.pairs is not None
    image, labels = part.validation.pairs.a.pictures[0], part.validation.pairs.b.pictures[0]
    seen: list[torch.Tensor] = []

    class Ideal(nn.Module):
        """Knows the image of every label map."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            _, y, x_ = places[len(seen) - 1]
            return image.read(y, x_)[None]

    side = recipe.sampling.crop
    places = windows([image], side, 32)
    figures = Judge(recipe, part.validation)({"forward": Ideal()})
    assert figures["ssim"] == pytest.approx(1)
    assert figures["mse"] == pytest.approx(0)
    _, y, x = places[0]
    assert torch.equal(seen[0].argmax(1)[0], labels.read(y, x)[0].long())
    assert seen[0].shape == (1, 3, side, side)
