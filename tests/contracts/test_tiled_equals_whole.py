"""Every architecture, in all its variants: tiles give what the whole image gives."""

from __future__ import annotations

import importlib
import inspect
import json
import typing
from functools import cache
from typing import Any, Literal

import dask.array as da
import numpy as np
import pytest
import torch
from bruteforce import brute_halo, positive
from models import CONTEXT, PLAIN, check_equal, image_of, model_of, whole

from napari_tincture.models import Model, architecture_names
from napari_tincture.models.layers.fixed_size import blanks, holding
from napari_tincture.models.layers.spectral_norm import SpectralWeight
from napari_tincture.models.registry import build_network
from napari_tincture.raster import Raster
from napari_tincture.tasks.seams import seam_error
from napari_tincture.tasks.stain import stain
from napari_tincture.tiling.reach import reach_of


def choices(name: str) -> list[dict[str, Any]]:
    """The small options, and each with one option changed to another of its choices."""
    module = importlib.import_module(f"napari_tincture.models.networks.{name}")
    small = dict(module.SMALL)
    found = [small]
    defaults = inspect.signature(module.build).parameters
    for option, kind in typing.get_type_hints(module.build).items():
        if option == "return":
            continue
        others = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
        values = (True, False) if kind is bool else others
        usual = small.get(option, defaults[option].default)
        found += [{**small, option: value} for value in values if value != usual]
    return found


VARIANTS = [
    pytest.param(name, options, id=f"{name} {' '.join(map(str, list(options.values())[2:]))} {i}")
    for name in architecture_names()
    for i, options in enumerate(choices(name))
]
CASES = [
    # height and width, chunks of the source, side of a tile in strides
    ((64, 64), None, 4),
    ((70, 41), (1, 23, 17), 3),
    ((33, 100), (2, 7, 100), 2),
    ((5, 3), None, 100),
]


def tiny(name: str, options: dict[str, Any]) -> Model:
    """A small model; the same one for every test, none of which may change it."""
    return _tiny(name, json.dumps(options))


@cache
def _tiny(name: str, text: str) -> Model:
    options = json.loads(text)
    torch.manual_seed(0)
    network = build_network(name, options)
    model = model_of(network, options["in_channels"], options["out_channels"])
    geometry = reach_of(model).geometry
    network.train()
    for module in network.modules():
        # Running statistics that normalise, as training leaves them.
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        # Likewise, vectors that know their weight's norm.
        if isinstance(module, SpectralWeight):
            for _ in range(20):
                module.inverse_norm()
    side = geometry.extended(192) + 2 * geometry.margin
    with torch.no_grad(), holding(network, blanks(network)):
        for _ in range(4):
            network(torch.rand(2, options["in_channels"], side, side))
    network.eval()
    return model


def tolerance(model: Model) -> float:
    return CONTEXT if reach_of(model).sites else PLAIN


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_stream_lazy_and_whole_are_the_same(name: str, options: dict[str, Any]) -> None:
    model = tiny(name, options)
    reach = reach_of(model)
    if not reach.exact:
        pytest.skip(f"not exact: {reach.reasons}")
    for shape, chunks, strides in CASES:
        image = image_of((options["in_channels"], *shape))
        expected = whole(model, image)
        source = image if chunks is None else da.from_array(image, chunks=chunks)
        tile = max(strides * reach.geometry.stride, 16)
        result = stain(Raster.from_array(source, "cyx"), model, tile=tile, context="exact")
        assert result.shape == expected.shape
        check_equal(result.data.compute(), expected, tolerance(model))
        check_equal(result.compute(), expected, tolerance(model))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_what_was_measured_is_what_single_pixels_do(name: str, options: dict[str, Any]) -> None:
    model = tiny(name, options)
    network, reach = model.network, reach_of(model)
    geometry = reach.geometry
    assert geometry.margin == getattr(network, "margin", 0)
    assert geometry.remainder == getattr(network, "residue", 0)
    if not reach.exact or any(site.name == "batch_norm" for site in reach.sites):
        pytest.skip("norms of the whole image cannot be told from single pixels")
    size = geometry.extended(max(64, 2 * geometry.halo + 4 * geometry.stride)) + 2 * geometry.margin
    with holding(network, blanks(network)):
        plain = positive(network)
    assert geometry.halo == brute_halo(plain, geometry.stride, geometry.margin, size)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_seams_are_below_the_tolerance_or_reported(name: str, options: dict[str, Any]) -> None:
    model = tiny(name, options)
    side = 6 * reach_of(model).geometry.stride
    found = seam_error(
        model, Raster.from_array(image_of((options["in_channels"], side, 64)), "cyx")
    )
    assert found.std > 0
    assert found.mean <= found.max
    if reach_of(model).exact:
        assert found.relative_max <= 10 * tolerance(model)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_running_a_model_changes_nothing_about_it(name: str, options: dict[str, Any]) -> None:
    model = tiny(name, options)
    network = model.network
    state = {key: value.clone() for key, value in network.state_dict().items()}
    layout = {key: value.stride() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    grads = [p.requires_grad for p in network.parameters()]
    image = Raster.from_array(image_of((options["in_channels"], 50, 70)), "cyx")
    context = "exact" if reach_of(model).exact else "auto"
    np.asarray(stain(image, model, tile=32, context=context))
    assert [module.training for module in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == grads
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key
        assert value.stride() == layout[key], key
        assert value.dtype == state[key].dtype
