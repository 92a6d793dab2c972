"""Provenance is plain JSON that grows by steps."""

import json
from pathlib import PurePosixPath

import numpy as np

from napari_tincture.io.provenance import extended, plain, software


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
        "d": PurePosixPath("a/b"), "e": {"f": (1, {2})}, "g": np.dtype("u1"),
    }  # fmt: skip
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text) == {
        "1": 3, "a": [0, 1], "b": "nan", "c": ["inf", None, True], "d": "a/b",
        "e": {"f": [1, [2]]}, "g": "uint8",
    }  # fmt: skip
