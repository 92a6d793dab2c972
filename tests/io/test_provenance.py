"""Provenance is plain JSON that grows by steps."""

import json
from pathlib import PurePosixPath

import numpy as np

from napari_tincture.io.provenance import extended, in_brief, plain, software, versions


def test_steps_are_added_and_the_rest_is_kept():
    first = extended({"licence": "CC0"}, "stain", model="m", tile=(512, 512))
    second = extended(first, "segment", threshold=np.float32(0.5))
    assert second["licence"] == "CC0"
    assert second["software"] == software()
    assert second["steps"] == [
        {"step": "stain", "model": "m", "tile": [512, 512]},
        {"step": "segment", "threshold": 0.5},
    ]
    assert len(first["steps"]) == 1


def test_everything_becomes_strict_json():
    value = {
        1: np.int64(3), "a": np.arange(2), "b": float("nan"), "c": [np.inf, None, True],
        "d": PurePosixPath("a/b"), "s": slice(2, None), "e": {"f": (1, {2})}, "g": np.dtype("u1"),
    }  # fmt: skip
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text) == {
        "1": 3, "a": [0, 1], "s": [2, None], "b": "nan", "c": ["inf", None, True], "d": "a/b",
        "e": {"f": [1, [2]]}, "g": "uint8",
    }  # fmt: skip


def test_what_a_run_found_goes_into_its_step():
    values = {"0,1": {"stats": [[0, 1]], "shares": ["long"], "how": {"context": "passes"}}}
    ran = {**extended({"licence": "CC0"}, "stain"), "values": values, "device": "cpu"}
    after = extended(ran, "segment")
    brief = {"0,1": {"stats": [[0, 1]], "how": {"context": "passes"}}}
    assert after["steps"] == [
        {"step": "stain", "run": {"values": brief, "device": "cpu"}}, {"step": "segment"},
    ]  # fmt: skip
    assert after["licence"] == "CC0"
    assert not {"values", "device"} & after.keys()
    assert ran["values"] == values
    assert in_brief({"device": "cpu"}) == {"device": "cpu"}


def test_versions_are_those_that_are_installed():
    from importlib.metadata import version

    found = versions()
    assert found["numpy"] == np.__version__
    assert found["torch"] == version("torch")
    assert {"python", "napari-tincture", "zarr", "dask"} <= found.keys()
