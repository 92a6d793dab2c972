from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from models import CONTEXT, check_equal, image_of, model_of, whole
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.fixed_size import trained_side
from napari_tincture.models.networks.coarse_to_fine import CoarseToFine, build
from napari_tincture.models.outputs import ask
from napari_tincture.raster import Raster
from napari_tincture.tasks.stain import stain

LIGHT = {"ch": 2, "n_res": 1, "light": True}
FULL = {**LIGHT, "light": False, "img_size": 16}


def network(inner: str, options: dict[str, Any], **more: Any) -> CoarseToFine:
    torch.manual_seed(0)
    return build(3, 3, inner, options, ngf=2, n_blocks_local=1, **more).eval()


@pytest.mark.parametrize("levels", [1, 2])
def test_enhancers_begin_with_what_the_generator_within_makes(levels: int) -> None:
    made = network("resnet_generator", {"ngf": 2, "n_blocks": 1}, levels=levels)
    x = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.inference_mode():
        assert not torch.allclose(made(x), made.inner(x), atol=1e-3)
        made.begin_coarse()
        coarse = made.inner(functional.avg_pool2d(x, 2**levels))
        for _ in range(levels):
            coarse = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        torch.testing.assert_close(made(x), coarse)


def test_every_weight_learns() -> None:
    made = network("ugatit", LIGHT, levels=2).train()
    made.begin_coarse()
    optimiser = torch.optim.SGD(made.parameters(), 0.1)
    for _ in range(2):  # what lies before a layer of zeros learns from the second step on
        optimiser.zero_grad()
        found = made.detailed(torch.rand(1, 3, 32, 32))
        (found["image"].square().mean() + found["cam_logit"].square().mean()).backward()
        optimiser.step()
    for name, weight in made.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.any()), name


def test_noise_keeps_its_spread_and_the_image_its_mean() -> None:
    made = network("bayesian_generator", {"ngf": 2}, levels=2, noise=1)
    torch.manual_seed(0)
    x = torch.randn(1, 3, 256, 256)
    small = made.halved(made.halved(x))
    assert float(small[:, 2].std()) == pytest.approx(1.0, abs=0.02)
    torch.testing.assert_close(small[:, :2], functional.avg_pool2d(x[:, :2], 4))


@pytest.mark.parametrize(
    ("inner", "options"),
    [("ugatit", LIGHT), ("attention_generator", {"ngf": 2, "n_blocks": 1})],
)
def test_what_the_generator_within_knows_is_passed_on(inner: str, options: dict[str, Any]) -> None:
    made = network(inner, options)
    assert made.extras == made.inner.extras
    x = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.inference_mode():
        found, within = made.detailed(x), made.inner.detailed(functional.avg_pool2d(x, 2))
        torch.testing.assert_close(found["image"], made(x))
    assert found.keys() == within.keys()
    for name in found.keys() - {"image"}:
        torch.testing.assert_close(found[name], within[name])
    question = ask(model_of(made, 3, 3, extras=dict(made.extras)), ("image", *made.extras))
    with torch.inference_mode():
        assert question.model.network(x).shape[2:] == x.shape[2:]


def test_a_generator_of_fixed_size_within_stains_any_size_in_tiles() -> None:
    made = network("ugatit", FULL)
    assert trained_side(made) == 32
    with pytest.raises(ModelError, match="32 × 32 pixels, got 64 × 32"):
        made(torch.rand(1, 3, 64, 32))
    model = model_of(made, 3, 3)
    for shape in ((32, 32), (70, 41)):
        image = image_of((3, *shape))
        tiled = stain(Raster.from_array(image, "cyx"), model, tile=16, context="exact")
        check_equal(np.asarray(tiled), whole(model, image), CONTEXT)


@pytest.mark.parametrize(
    "wrong", [{"levels": 0}, {"levels": 3}, {"ngf": 0}, {"noise": 3}, {"n_blocks_local": -1}]
)
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="1 or 2 levels"):
        build(**wrong)
    with pytest.raises(ModelError, match="nonsense"):
        build(inner="nonsense")
