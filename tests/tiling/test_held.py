"""What networks of fixed size take from the whole image, of images of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import CONTEXT, check_equal, image_of, job_of, model_of
from torch.nn import functional

from napari_tincture import Raster, stain
from napari_tincture.models import Normalisation
from napari_tincture.models.layers.fixed_size import find_held, holding
from napari_tincture.models.registry import build_network
from napari_tincture.progress import CancelToken
from napari_tincture.tiling import held
from napari_tincture.tiling.held import held_of, shrinking

SIDE = 32
OPTIONS = {
    "in_channels": 2, "out_channels": 2, "ch": 2, "n_res": 1, "img_size": SIDE, "light": False,
}  # fmt: skip
RULE = Normalisation("range", 0, 255, (-1, 1))


def model(**card):
    torch.manual_seed(0)
    return model_of(build_network("ugatit", OPTIONS), 2, 2, normalisation=RULE, **card)


def network_values(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None].float() / 127.5 - 1


@pytest.mark.parametrize("length", [20, 32, 33, 100, 257])
def test_a_line_is_reduced_as_torch_does(length: int) -> None:
    line = torch.rand(1, 1, 1, length, dtype=torch.float64)
    expected = functional.interpolate(
        line, (1, SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    found = shrinking(length, SIDE) @ line.flatten().numpy()
    np.testing.assert_allclose(found, expected.flatten().numpy(), atol=1e-6)


def test_the_reduced_image_is_that_of_torch_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = image_of((2, 75, 130))
    monkeypatch.setattr(held, "BLOCK", 48)
    job = job_of(model(), image)
    (found,) = held_of(job, (), np.zeros((2, 2)), CancelToken())
    reduced = functional.interpolate(
        network_values(image), (SIDE, SIDE), mode="bilinear", antialias=True
    )
    (expected,) = find_held(job.model.network, reduced)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_mean_over_tiles() -> None:
    image = image_of((2, 64, 72))
    job = job_of(model(held="tiles"), image)
    (found,) = held_of(job, (), np.zeros((2, 2)), CancelToken())
    values = network_values(image)
    each = [
        find_held(job.model.network, values[..., y : y + SIDE, x : x + SIDE])[0]
        for y in (0, 32)
        for x in (0, 32, 40)
    ]
    torch.testing.assert_close(found, torch.stack(each).mean(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("way", ["reduced", "tiles"])
def test_tiles_are_those_of_the_whole_that_holds_the_same(way: str) -> None:
    image = image_of((2, 72, 96))
    large = model(held=way)
    job = job_of(large, image)
    kept = held_of(job, (), np.zeros((2, 2)), CancelToken())
    with torch.inference_mode(), holding(large.network, kept):
        expected = large.network(network_values(image))[0].numpy()
    found = stain(Raster.from_array(image, "cyx"), large, tile=40, context="exact")
    check_equal(np.asarray(found), expected, CONTEXT)
