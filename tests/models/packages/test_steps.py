"""Steps of packages against their definitions in the format, in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_tincture.errors import ModelError, TinctureWarning
from napari_tincture.models import Channel, Model, ModelCard
from napari_tincture.models.networks.packaged import _steps as modules
from napari_tincture.models.packages import _steps, _v0_4, _v0_5
from napari_tincture.models.packages._description import Axis, Step, Tensor

AXES = tuple(Axis(letter, letter) for letter in "bcyx")
LAST = Step("ensure_dtype", {"dtype": "float32"})


def tensor(*steps: tuple[str, dict[str, Any]], channels: int = 2) -> Tensor:
    done = tuple(Step(name, kwargs) for name, kwargs in steps)
    names = tuple(f"c{n}" for n in range(channels))
    return Tensor("raw", AXES, "float32", (*done, LAST), names)


def image() -> np.ndarray:
    return np.random.default_rng(0).normal(50, 20, (1, 2, 12, 9))


def result(taken: Tensor) -> np.ndarray:
    """What a model with the mapped steps gives to its network."""
    done = _steps.before(taken)
    names = tuple(map(Channel, taken.channels))
    card = ModelCard("t", "stain", "test", names, names, normalisation=done.normalisation)
    return Model(modules(done.items, 2), card).predict(torch.from_numpy(image())).numpy()


def per_plane(function: Any, *args: Any) -> np.ndarray:
    return function(image(), *args, axis=(2, 3), keepdims=True)


def test_steps_before_the_network_do_as_the_format_says() -> None:
    x = image()
    low, high = (per_plane(np.percentile, q) for q in (3, 98))
    ranged = (x - low) / (high - low + 1e-6)
    standard = (x - per_plane(np.mean)) / (per_plane(np.std) + 1e-6)
    fixed = {"axis": "c", "mean": [1.0, 2.0], "std": [3.0, 4.0]}
    gains = np.array([3.0, -4.0]).reshape(2, 1, 1)
    scale = ("scale_range", {"axes": "yx", "min_percentile": 3, "max_percentile": 98})
    norm = ("zero_mean_unit_variance", {"axes": "yx"})
    linear = ("scale_linear", {"gain": 2.0, "offset": -1.0})
    clip = ("clip", {"min": 0.0, "max": 1.0})
    cases = [
        ((scale,), ranged),
        ((scale, clip), ranged.clip(0, 1)),
        ((scale, linear, clip), (2 * ranged - 1).clip(0, 1)),
        ((scale, clip, linear), 2 * ranged.clip(0, 1) - 1),
        ((norm,), standard),
        ((norm, linear), 2 * standard - 1),
        ((linear, norm), standard),
        ((("fixed_zero_mean_unit_variance", {"mean": 5.0, "std": 2.0}),), (x - 5) / 2),
        (
            (("fixed_zero_mean_unit_variance", fixed),),
            (x - np.array([1, 2]).reshape(2, 1, 1)) / np.array([3, 4]).reshape(2, 1, 1),
        ),
        ((("scale_linear", {"axis": "c", "gain": [3.0, -4.0]}),), x * gains),
        ((linear, clip, ("sigmoid", {})), 1 / (1 + np.exp(-(2 * x - 1).clip(0, 1)))),
        ((("ensure_dtype", {"dtype": "uint8"}), clip), x.clip(0, 1)),
    ]
    for steps, expected in cases:
        # float32, and the format's eps beside a deviation of 20.
        np.testing.assert_allclose(
            result(tensor(*steps)), expected, rtol=1e-5, atol=1e-5, err_msg=str(steps)
        )


def test_steps_after_the_network_do_as_the_format_says() -> None:
    x = np.random.default_rng(1).normal(0, 2, (1, 2, 5, 6)).astype(np.float32)
    exp = np.exp(x)
    cases = [
        ((("softmax", {"axis": "c"}),), exp / exp.sum(1, keepdims=True)),
        ((("binarize", {"threshold": 0.3}),), x > 0.3),
        ((("binarize", {"threshold": [0.3, -1.0], "axis": "c"}),),
         x > np.array([0.3, -1.0]).reshape(2, 1, 1)),
        ((("scale_linear", {"gain": 9.0}), ("ensure_dtype", {"dtype": "int16"})),
         (9 * x).astype(np.int16)),
    ]  # fmt: skip
    for steps, expected in cases:
        found = modules(_steps.after(tensor(*steps)), 2)(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=str(steps))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (("zero_mean_unit_variance", {"axes": "cyx"}), "statistics of all channels together"),
        (("zero_mean_unit_variance", {}), "statistics of all channels together"),
        (("zero_mean_unit_variance", {"axes": "x"}), "statistics of each y alone"),
        (("scale_range", {"axes": "yx", "eps": 0.1}), r"eps=0\.1"),
        (("scale_range", {"axes": "yx", "reference_tensor": "other"}), "another tensor"),
        (("clip", {"min_percentile": 1.0}), "looks beyond one pixel"),
        (("stardist_postprocessing", {"prob_threshold": 0.5}), r"stardist_postprocessing\(prob_"),
        (("softmax", {"axis": "y"}), "along the axis 'y'"),
    ],
)
def test_what_cannot_be_mapped_is_named(step: tuple[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        _steps.before(tensor(step))


def test_statistics_after_clipping_cannot_be_mapped() -> None:
    steps = ("clip", {"min": 0.0}), ("zero_mean_unit_variance", {"axes": "yx"})
    with pytest.raises(ModelError, match="other steps made of the image"):
        _steps.before(tensor(*steps))


def test_statistics_of_a_data_set_are_taken_of_the_plane_with_a_warning() -> None:
    step = _v0_4._step({"name": "scale_range", "kwargs": {"mode": "per_dataset", "axes": "xy"}}, "")
    with pytest.warns(TinctureWarning, match="whole data set"):
        found = _steps.before(tensor((step.name, dict(step.kwargs))))
    assert found.normalisation.kind == "percentile"


def test_integers_stay_integers_where_nothing_is_done_to_them() -> None:
    axes = [{"type": "space", "id": a, "size": 8} for a in "yx"]
    item = {"id": "raw", "axes": axes, "data": {"type": "uint8"}}
    assert _steps.before(_v0_5._tensor(item, "preprocessing")).dtype == "uint8"
    # By the format, a tensor ends in its own type: scaled values lose their fractions.
    item["preprocessing"] = [{"id": "scale_linear", "kwargs": {"gain": 0.5}}]
    done = _steps.before(_v0_5._tensor(item, "preprocessing"))
    assert done.items == [{"do": "whole"}]
