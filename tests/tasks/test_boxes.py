from __future__ import annotations

import numpy as np
import pytest

import napari_tincture as nt
from napari_tincture.errors import DataRangeError
from napari_tincture.raster import Raster


def pair(dtype: type = np.uint8) -> tuple[Raster, Raster]:
    values = np.random.default_rng(0).integers(0, 255, (2, 60, 80)).astype(dtype)
    return tuple(  # type: ignore[return-value]
        nt.open_image(v, axes="yx", scale=(0.5, 0.5), units="micrometer") for v in values
    )


@pytest.mark.parametrize("chunk", [7, 60])
def test_boxes_of_labels_hold_their_pixels_and_no_more(chunk: int) -> None:
    import dask.array as da

    labels = np.zeros((60, 80), np.int32)
    labels[3:20, 10:75], labels[59, 79], labels[30:34, 40] = 5, 2, 900_000
    image, reference = pair()
    regions = nt.open_image(
        da.from_array(labels, chunks=chunk), axes="yx", scale=(0.5, 0.5), units="micrometer"
    )
    found = nt.compare(image, reference, regions=regions, metrics=["mse"])
    for name, ((top, bottom), (left, right)) in found.regions.items():
        y, x = np.nonzero(labels == int(name))
        assert (top, bottom) == (y.min(), y.max() + 1)
        assert (left, right) == (x.min(), x.max() + 1)
    assert list(found.regions) == ["2", "5", "900000"]


def test_boxes_count_in_the_whole_reference() -> None:
    image, reference = pair()
    region = {"y": (10, 50), "x": (20, 80)}
    found = nt.compare(image, reference, region=region, regions="grid:40", metrics=["mse"])
    assert found.regions == {"y 0, x 0": ((10, 50), (20, 60)), "y 0, x 40": ((10, 50), (60, 80))}
    drawn = {"box": [[5, 5], [5, 9], [12, 9], [12, 5]]}
    found = nt.compare(image, reference, regions=drawn, metrics=["mse"])
    assert found.regions == {"box": ((5, 13), (5, 10))}
    assert nt.compare(image, reference, metrics=["mse"]).regions == {}


def test_why_a_figure_is_missing_is_known_by_row_and_column() -> None:
    image, reference = pair()
    flat = np.asarray(image).copy()
    flat[:, :40] = 7
    image = nt.open_image(flat, axes="yx", scale=(0.5, 0.5), units="micrometer")
    found = nt.compare(image, reference, regions="grid:40", metrics=["mse", "pearson"])
    missing = {(n, "pearson") for n, row in enumerate(found.table) if np.isnan(row["pearson"])}
    assert missing == set(found.undefined)
    assert {found.table[n]["region"] for n, _ in missing} == {"y 0, x 0", "y 40, x 0"}


def test_likely_data_ranges_come_with_the_question() -> None:
    image, reference = pair(np.uint16)
    with pytest.raises(DataRangeError) as caught:
        nt.compare(image, reference)
    assert caught.value.candidates == (255.0, 65535.0)
