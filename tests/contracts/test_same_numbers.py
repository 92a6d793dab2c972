"""Every way to run a job gives the same bits, for every network that is exact under tiling."""

from __future__ import annotations

import numpy as np
import pytest
from models import image_of, model_of
from networks import EXACT

from napari_tincture import open_image, stain
from napari_tincture.io import layout

IMAGE = open_image(image_of((2, 150, 170)), axes="cyx")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXACT))
def test_lazy_streamed_and_saved_are_equal(tmp_path, monkeypatch, name):
    monkeypatch.setattr(layout, "SHARD", 96)
    monkeypatch.setattr(layout, "CHUNK", 24)
    model = model_of(EXACT[name]())

    def result():
        return stain(IMAGE, model, tile=48, context="exact")

    streamed = result().compute()
    lazy = result().data.compute(scheduler="synchronous")
    np.testing.assert_array_equal(lazy, streamed)
    saved = open_image(result().save(tmp_path / "a.ome.zarr"))
    np.testing.assert_array_equal(saved.compute(), streamed)
    # Values found before give the blocks that lock-step gave.
    known = stain(IMAGE, model, tile=48, context=saved)
    np.testing.assert_array_equal(known.compute(), streamed)
