"""Figures are those of scikit-image and numpy on whole planes; nothing is rescaled or guessed."""

from __future__ import annotations

import csv

import dask.array as da
import numpy as np
import pytest
from models import image_of
from skimage import metrics as sk

from napari_tincture import Raster, compare, open_image
from napari_tincture.errors import InputError, OutputError
from napari_tincture.placement import Placement

METRICS = ("ssim", "psnr", "mse", "pearson")
COLUMNS = ["ssim", "luminance", "contrast", "structure", "psnr", "mse", "pearson"]
SHAPE = (40, 33)


def expected(a, b, span):
    """What the four metrics mean, without this package."""
    a, b = a.astype(float), b.astype(float)
    return {
        "ssim": sk.structural_similarity(b, a, data_range=span),
        "psnr": 10 * np.log10(span**2 / np.mean((a - b) ** 2)),
        "mse": np.mean((a - b) ** 2),
        "pearson": np.cov(a.ravel(), b.ravel(), ddof=0)[0, 1] / a.std() / b.std(),
    }


def check(row, a, b, span):
    for name, value in expected(a, b, span).items():
        assert row[name] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize(
    ("dtype", "span"), [("u1", 255), ("u2", 65_535), ("i2", 65_535), ("u4", 2**32 - 1)]
)
def test_integers_tell_the_range_of_their_values(dtype, span):
    a, b = (image_of(SHAPE, dtype, seed) for seed in (0, 1))
    found = compare(a, b)
    assert list(found.table[0]) == ["image", *COLUMNS]
    check(found.table[0], a, b, span)
    assert found.settings["data_range"] == span
    assert found.settings["grid"] == {"image 1": "same grid"}
    assert found.settings["pixels"] == 40 * 33
    assert found.notes == ()


def test_a_range_that_is_given_counts_and_nothing_is_rescaled():
    a, b = (image_of(SHAPE, "u2", seed) for seed in (0, 1))
    check(compare(a, b, data_range=99_999).table[0], a, b, 99_999)
    check(compare(a.astype("f4"), b, data_range=65_535).table[0], a, b, 65_535)
    check(compare(a.astype("u1"), b, data_range=65_535).table[0], a.astype("u1"), b, 65_535)


@pytest.mark.parametrize("dtype", ["f4", "u1", "i2"])
def test_other_types_must_be_brought_to_one_range(dtype):
    a, b = (image_of(SHAPE, "u2", seed) for seed in (0, 1))
    with pytest.raises(InputError, match=r"Image 'scan'.*uint16.*nothing is rescaled.*data_range"):
        compare(Raster.from_array(a.astype(dtype), "yx", name="scan"), b)


def test_a_range_smaller_than_the_data_is_refused():
    a, b = (image_of(SHAPE, "u2", seed) for seed in (0, 1))
    with pytest.raises(InputError, match=r"further apart than data_range=4095"):
        compare(a, b, data_range=4095)
    # An image may overshoot a little; that is said.
    found = compare(b * np.float32(3), b.astype("f4"), data_range=65_535)
    assert "further apart than the data range 65535" in found.notes[0]


def test_types_of_which_a_part_is_used_ask():
    a, b = (image_of(SHAPE, "u2", seed) >> 4 for seed in (0, 1))
    with pytest.raises(InputError, match=r"are they of 12 bits\? Pass data_range=4095, or 65535"):
        compare(a, b)
    check(compare(a, b, data_range=4095).table[0], a, b, 4095)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bool"])
def test_types_without_a_range_ask_for_it(dtype):
    a, b = (image_of(SHAPE, "f8", seed).astype(dtype) for seed in (0, 1))
    with pytest.raises(InputError, match=rf"{dtype}.*does not tell.*data_range=.*1\.0"):
        compare(a, b)
    with pytest.raises(InputError, match="does not tell"):
        compare(image_of(SHAPE), b)
    if dtype != "bool":
        check(compare(a, b, data_range=1.5).table[0], a, b, 1.5)
    else:
        assert compare(a, b, data_range=1, metrics=["mse"]).table[0]["mse"] == np.mean(a != b)


@pytest.mark.parametrize("span", [0, -1, np.nan])
def test_a_range_is_positive(span):
    with pytest.raises(InputError, match=r"data_range=.*positive"):
        compare(image_of(SHAPE), image_of(SHAPE), data_range=span)


def test_equal_images():
    image = image_of(SHAPE)
    row = compare(image, image).table[0]
    assert (row["ssim"], row["psnr"], row["mse"]) == (1, np.inf, 0)
    assert row["pearson"] == pytest.approx(1, abs=1e-12)


def test_what_is_flat_correlates_with_nothing():
    flat = np.full(SHAPE, 7, "u1")
    for pair in ((flat, image_of(SHAPE)), (image_of(SHAPE), flat)):
        assert np.isnan(compare(*pair, metrics=["pearson"]).table[0]["pearson"])


def test_differences_of_large_unsigned_values_do_not_wrap():
    a, b = np.zeros(SHAPE, "u1"), np.full(SHAPE, 255, "u1")
    assert compare(a, b, metrics=["mse", "psnr"]).table[0] == {
        "image": "image 1",
        "mse": 65_025,
        "psnr": 0,
    }


@pytest.mark.parametrize(
    ("region", "part"),
    [
        ({"y": (5, 30), "x": (2, 20)}, np.s_[5:30, 2:20]),
        ({"y": slice(10, None)}, np.s_[10:]),
        ([(5, 30), (-4, 20)], np.s_[5:30, :20]),
        ([(5, 2), (5, 19.5), (30, 19.5), (30, 2)], np.s_[5:30, 2:20]),
    ],
)
def test_a_region_is_compared_alone(region, part):
    a, b = (image_of(SHAPE, seed=seed) for seed in (0, 1))
    found = compare(a, b, region=region)
    check(found.table[0], a[part], b[part], 255)
    assert found.settings["pixels"] == a[part].size
    # What is wrong outside of it does not matter.
    a = a.astype("f4")
    a[0, -1] = np.nan
    found = compare(a, b, region=region, data_range=255)
    check(found.table[0], a[part], b[part], 255)


def test_rows_are_planes_and_channels():
    a, b = (image_of((2, 3, 2, *SHAPE), seed=seed) for seed in (0, 1))
    reference = Raster.from_array(b, "tczyx", channels=("DAPI", "MAP2", "NFH"))
    found = compare(Raster.from_array(a, "tczyx", name="stain"), reference)
    assert len(found.table) == 12
    names = reference.channels
    for row, (t, z, c) in zip(found.table, np.ndindex(2, 2, 3), strict=True):
        assert list(row) == ["image", "t", "z", "channel", *COLUMNS]
        assert (row["image"], row["t"], row["z"], row["channel"]) == ("stain", t, z, names[c])
        check(row, a[t, c, z], b[t, c, z], 255)
    assert found.settings["pixels"] == 40 * 33


def test_planes_of_a_region_keep_their_numbers():
    a, b = (image_of((4, 5, *SHAPE), seed=seed) for seed in (0, 1))
    rasters = [Raster.from_array(v, "tzyx") for v in (a, b)]
    found = compare(*rasters, region={"t": (1, 3), "z": slice(4, None)})
    assert [(row["t"], row["z"]) for row in found.table] == [(1, 4), (2, 4)]
    for row in found.table:
        check(row, a[row["t"], row["z"]], b[row["t"], row["z"]], 255)


def test_channels_without_names_are_counted():
    a, b = (image_of((2, *SHAPE), seed=seed) for seed in (0, 1))
    found = compare(Raster.from_array(a, "cyx"), Raster.from_array(b, "cyx"), metrics=["mse"])
    assert [row["channel"] for row in found.table] == [0, 1]


def test_axes_in_any_order_and_lazy_images():
    a, b = (image_of((2, *SHAPE), seed=seed) for seed in (0, 1))
    lazy = open_image(da.from_array(np.moveaxis(a, 0, -1), chunks=7), axes="yxc")
    found = compare(lazy, Raster.from_array(b, "cyx"))
    for c, row in enumerate(found.table):
        check(row, a[c], b[c], 255)


def test_several_images_against_one_reference(tmp_path):
    first, second, reference = (image_of(SHAPE, seed=seed) for seed in range(3))
    np.save(tmp_path / "second.npy", second)
    named = Raster.from_array(first, "yx", name="first")
    for several in ([named, tmp_path / "second.npy", first], (named, second, first)):
        found = compare(several, reference)
        assert len(found.table) == 3
        for row, image in zip(found.table, (first, second, first), strict=True):
            check(row, image, reference, 255)
        assert found.table[0]["image"] == "first"
        assert found.table[2]["image"] == "image 3"


def test_nothing_to_compare():
    with pytest.raises(InputError, match=r"empty list.*give one"):
        compare([], image_of(SHAPE))


def test_chosen_metrics_stand_in_their_order():
    found = compare(image_of(SHAPE), image_of(SHAPE), metrics=("pearson", "mse"))
    assert list(found.table[0]) == ["image", "pearson", "mse"]


def test_an_unknown_metric_lists_those_there_are():
    with pytest.raises(InputError, match=r"'sim'.*mse.*psnr.*ssim"):
        compare(image_of(SHAPE), image_of(SHAPE), metrics=("mse", "sim"))


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("yx", (40, 32), r"40 × 32 px.*'truth' 40 × 33, and nothing says where.*Crop"),
        ("yx", (33, 40), r"33 × 40 px.*'truth' 40 × 33, and nothing says where.*Crop"),
        ("zyx", (2, 40, 33), r"2 planes along z.*'truth' 1\. Crop"),
        ("cyx", (2, 40, 33), r"2 channels.*'truth' 1 channel\. Choose one"),
    ],
)
def test_other_sizes_are_named(axes, shape, message):
    image = Raster.from_array(image_of(shape), axes, name="scan")
    reference = Raster.from_array(image_of(SHAPE), "yx", name="truth")
    with pytest.raises(InputError, match=rf"'scan' has .*{message}"):
        compare(image, reference)
    with pytest.raises(InputError, match="'scan'"):
        compare([reference, image], reference)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_counted_and_named(bad):
    image = image_of(SHAPE, "f4")
    image[3, :5] = bad
    good = image_of(SHAPE, "f4", 1)
    pair = [Raster.from_array(image, "yx", name="scan"), good]
    for images, name in ((pair, "image"), (pair[::-1], "reference")):
        match = rf"5 of 1320 values of {name} 'scan'.*Repair.*region.*ignore"
        with pytest.raises(InputError, match=match):
            compare(*images, data_range=1)
        found = compare(*images, data_range=1, nonfinite="ignore", metrics=["mse"])
        there = np.isfinite(image)
        assert found.table[0]["mse"] == pytest.approx(np.mean((image - good)[there] ** 2.0))
        assert "5 pixels" in found.notes[0]
    check(compare(*pair, data_range=1, region={"y": (4, 40)}).table[0], image[4:], good[4:], 1)


def test_ssim_says_how_many_pixels_it_needs():
    small = image_of((6, 50))
    found = compare(small, small)
    assert np.isnan(found.table[0]["ssim"])
    assert found.notes == ("ssim of image 1 is undefined: no window of 7 × 7 pixels fits.",)
    check_only = compare(small, image_of((6, 50), seed=1), metrics=["mse", "pearson"])
    assert check_only.table[0]["mse"] > 0


@pytest.mark.parametrize("region", [{"y": (50, 60)}, {"z": (0, 1)}, "left"])
def test_regions_that_cannot_be(region):
    with pytest.raises(InputError, match="region"):
        compare(image_of(SHAPE), image_of(SHAPE), region=region)


def test_as_text_and_as_a_data_frame():
    pytest.importorskip("pandas")
    a, b = (image_of((2, *SHAPE), seed=seed) for seed in (0, 1))
    found = compare(
        Raster.from_array(a, "cyx", name="virtual stain"),
        Raster.from_array(b, "cyx", channels=("DAPI", "MAP2")),
    )
    lines = str(found).splitlines()
    assert lines[0].split() == ["image", "channel", *COLUMNS]
    starts = [lines[0].index(name) for name in ("image", "channel", *COLUMNS)]
    for line, row in zip(lines[1:], found.table, strict=True):
        ends = [*starts[1:], None]
        cells = [line[i:j].strip() for i, j in zip(starts, ends, strict=True)]
        assert cells[:2] == ["virtual stain", row["channel"]]
        assert cells[2:] == [f"{row[name]:.4g}" for name in COLUMNS]
    frame = found.to_dataframe()
    assert frame.to_dict("records") == found.table


def test_inputs_are_left_as_they_are():
    a, b = (image_of(SHAPE, "f4", seed) for seed in (0, 1))
    before = a.copy(), b.copy()
    compare(a, b, data_range=1)
    np.testing.assert_array_equal((a, b), before)


def test_colours_against_colours_with_alpha():
    values = image_of((3, *SHAPE), "u1", 0)
    image = Raster.from_array(values, "cyx", rgb=True, name="plain")
    alpha = Raster.from_array(image_of((4, *SHAPE), "u1", 1), "cyx", rgb=True, name="clear")
    with pytest.raises(InputError, match=r"'plain' has RGB.*'clear' RGBA.*Leave out alpha"):
        compare(image, alpha)
    without = alpha.crop({"c": slice(0, 3)})
    assert len(compare(image, without).table) == 3


def test_luminance_is_that_of_scikit_image():
    from skimage.color import rgb2gray

    pair = [image_of((3, *SHAPE), "u1", seed) for seed in (0, 1)]
    rasters = [Raster.from_array(values, "cyx", rgb=True) for values in pair]
    (row,) = compare(*rasters, channels="luminance").table
    assert row["channel"] == "luminance"
    grey = [255 * rgb2gray(np.moveaxis(values, 0, -1)) for values in pair]
    check(row, *grey, 255)
    (mean,) = compare(*rasters, channels="mean").table
    each = compare(*rasters).table
    assert mean["ssim"] == pytest.approx(np.mean([row["ssim"] for row in each]), rel=1e-12)
    with pytest.raises(InputError, match="no luminance"):
        compare(pair[0][0], pair[1][0], channels="luminance")
    with pytest.raises(InputError, match="channels='sum'"):
        compare(*rasters, channels="sum")


def test_images_that_do_not_meet_in_the_world():
    values = image_of(SHAPE, "u1", 0)
    here, there = (
        Raster.from_array(
            values, "yx", name=name,
            placement=Placement.build("yx", translate=(0, x), units="µm"),
        )
        for name, x in (("here", 0), ("there", 500))
    )  # fmt: skip
    with pytest.raises(InputError, match=r"'there' and reference 'here' do not overlap"):
        compare(there, here)


def test_pixels_outside_an_image_do_not_count():
    values = image_of((80, 70), "u1", 0)
    noisy = image_of((80, 70), "u1", 1)
    reference = Raster.from_array(values, "yx", placement=Placement.build("yx", units="µm"))
    part = Raster.from_array(
        noisy[:50, 20:], "yx",
        placement=Placement.build("yx", translate=(0, 20), units="µm"),
    )  # fmt: skip
    found = compare(part, reference)
    check(found.table[0], noisy[:50, 20:], values[:50, 20:], 255)
    assert any("covers 4" in note for note in found.notes)


def test_tables_are_written_whole_and_readable(tmp_path):
    stack = image_of((2, *SHAPE), "u1", 0)
    image = Raster.from_array(stack, "cyx", name="a_b & c", channels=("red|1", "green"))
    found = compare(image, Raster.from_array(stack, "cyx", channels=("red|1", "green")))
    found.to_csv(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["channel"] for row in rows] == ["red|1", "green"]
    assert float(rows[0]["ssim"]) == 1
    lines = found.to_markdown(tmp_path / "t.md").splitlines()
    assert r"red\|1" in lines[2]
    assert len(lines) == 4
    latex = found.to_latex(tmp_path / "t.tex")
    assert r"a\_b \& c" in latex
    assert latex.count(r"\\") == 3
    assert (tmp_path / "t.tex").read_text("utf-8") == latex
    with pytest.raises(OutputError, match="nowhere"):
        found.to_csv(tmp_path / "nowhere" / "t.csv")
