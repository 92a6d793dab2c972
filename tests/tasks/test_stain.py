"""Whatever plane or part of an image is stained: its pixels are those of the whole, in place."""

from __future__ import annotations

import json

import dask.array as da
import numpy as np
import pytest
import torch
from models import CONTEXT, PLAIN, check_equal, image_of, model_of, whole
from networks import EXACT, Fn, conv

from napari_tincture import Raster, list_models, open_image, stain
from napari_tincture.errors import DeviceError, InputError, ModelError, TinctureWarning
from napari_tincture.io.identity import differences, signature
from napari_tincture.models import Normalisation
from napari_tincture.placement import Placement

IMAGE = image_of((2, 61, 50))
TURNED = np.eye(5)
TURNED[3:, 3:] = [[0.8, -0.6], [0.6, 0.8]]
PLACEMENT = Placement.build(
    "tczyx",
    scale=(2, 1, 3, 0.5, 0.25),
    translate=(100, 0, 7, -5, 11),
    rotate=TURNED,
    affine=np.diag([1, 1, 1, 2, 2, 1.0]),
    units=("second", "pixel", "micrometer", "micrometer", "micrometer"),
)


@pytest.fixture(scope="module")
def several():
    """Three outputs of one small convolution; raw values in, raw values out."""
    torch.manual_seed(1)
    network = Fn(lambda self, x: self.a(x), a=conv(2, 3, 5))
    return model_of(network, 2, 3, normalisation=Normalisation("range", 0, 255))


def identity(outputs=1, **card):
    """The first channels as they are."""
    network = Fn(lambda _, x: x[:, :outputs])
    return model_of(network, outputs, outputs, normalisation=Normalisation("none"), **card)


def corners(shape):
    """Homogeneous indices of the corner pixels."""
    ranges = np.meshgrid(*([0, n - 1] for n in shape), indexing="ij")
    return np.stack([*map(np.ravel, ranges), np.ones(2 ** len(shape))])


def check_place(part: Raster, whole: Raster, starts: dict[str, int]) -> None:
    """Every pixel of the part lies where the same pixel of the whole lies."""
    assert part.axes == whole.axes
    mine = corners(part.shape)
    theirs = mine + np.array([*(starts.get(a, 0) for a in part.axes), 0])[:, None]
    found = part.placement.matrix() @ mine
    np.testing.assert_allclose(found, whole.placement.matrix() @ theirs, atol=1e-9)
    assert part.units == whole.units
    assert part.axis_labels == whole.axis_labels


def check_part(found, expected, part, relative):
    """As `check_equal`, but in standard deviations of the whole: a part may be flat."""
    filled = expected.copy()
    filled[part] = found
    check_equal(filled, expected, relative)


# Planes


@pytest.mark.parametrize("axes", ["tcyx", "czyx", "tczyx", "zcyx", "yxct", "xyczt"])
@pytest.mark.parametrize("kind", ["plain", "normed", "several"])
def test_planes_are_stained_one_by_one(axes, kind, request):
    model = request.getfixturevalue(kind)
    sizes = {"t": 3, "c": 2, "z": 2, "y": 40, "x": 33}
    order = "".join(a for a in "tczyx" if a in axes)
    image = image_of(tuple(sizes[a] for a in order))
    given = image.transpose([order.index(a) for a in axes])
    result = stain(open_image(given, axes=axes), model, tile=16, context="exact")
    channels = "c" if kind == "several" else ""
    assert result.axes == "".join(a for a in "tczyx" if a in axes.replace("c", channels))
    found = result.compute()
    assert found.shape == tuple(3 if a == "c" else sizes[a] for a in result.axes)
    tolerance = CONTEXT if kind == "normed" else PLAIN
    leading = [a for a in "tz" if a in axes]
    for place in np.ndindex(*(sizes[a] for a in leading)):
        at = dict(zip(leading, place, strict=True))
        one = image[tuple(at.get(a, slice(None)) for a in order)]
        expected = whole(model, one)
        mine = found[tuple(at.get(a, slice(None)) for a in result.axes)]
        check_equal(mine, expected, tolerance)
        alone = stain(Raster.from_array(one, "cyx"), model, tile=16, context="exact")
        np.testing.assert_array_equal(alone.compute(), mine)


def test_axes_of_a_layer_come_back_in_their_order(several):
    image = open_image(image_of((40, 33, 2, 3)), axes="yxct")
    assert stain(image, several).order == "yxct"
    assert stain(image, several).axes == "tcyx"


def test_outputs_are_named_and_coloured(several):
    result = stain(Raster.from_array(IMAGE, "cyx", name="scan"), several)
    assert result.channels == ("out0", "out1", "out2")
    assert result.display["colours"] == ["gray"] * 3
    assert result.display["limits"] == [[0, 1]] * 3
    assert result.kind == "image"
    assert result.name == "scan small"
    assert len(result.levels) == 1


def test_colour():
    values = image_of((3, 30, 40))
    image = open_image(Raster.from_array(values.transpose(1, 2, 0), "yxc", rgb=True))
    result = stain(image, identity(3, rgb_output=True, output_range=(0, 255)), tile=16)
    assert result.rgb
    assert result.dtype == np.uint8
    assert result.order == "yxc"
    np.testing.assert_array_equal(result.compute(), values)


# Regions


@pytest.mark.parametrize(
    ("region", "part"),
    [
        ({"y": (10, 37), "x": (3, 50)}, np.s_[10:37, 3:50]),
        ({"y": slice(10, 37), "x": slice(3, None)}, np.s_[10:37, 3:50]),
        ({"x": (20, 21)}, np.s_[:, 20:21]),
        (((10, 37), (3, 50)), np.s_[10:37, 3:50]),
        (np.array([[10, 37], [3, 50]]), np.s_[10:37, 3:50]),
        # What a rectangle of a Shapes layer covers, in any order of its corners.
        ([(10.4, 3), (10.4, 49.2), (36.5, 49.2), (36.5, 3)], np.s_[10:37, 3:50]),
        ([(0, 37, 50), (0, 10, 50), (0, 10, 3), (0, 37, 3)], np.s_[10:37, 3:50]),
        # Partly outside.
        ({"y": (-20, 12), "x": (30, 900)}, np.s_[0:12, 30:50]),
        ([(-5, -5), (-5, 20), (12.5, 20), (12.5, -5)], np.s_[0:13, 0:20]),
        ({"y": (-3, 61), "x": (0, 51)}, np.s_[:, :]),
        ({"y": slice(-10, None), "x": slice(None, -40)}, np.s_[51:61, 0:10]),
        ({"y": (60, 61), "x": (49, 50)}, np.s_[60:61, 49:50]),
        ({}, np.s_[:, :]),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["plain", "normed"])
def test_a_region_is_that_part_of_the_whole(region, part, kind, request):
    model = request.getfixturevalue(kind)
    placement = PLACEMENT.drop(2).drop(0)
    image = Raster.from_array(IMAGE, "cyx", placement=placement)
    result = stain(image, model, region=region, tile=16, context="exact")
    y, x = (s.indices(n) for s, n in zip(part, IMAGE.shape[1:], strict=True))
    expected = whole(model, IMAGE)
    tolerance = CONTEXT if kind == "normed" else PLAIN
    found = result.compute()
    assert found.shape == expected[0][part].shape == result.data.shape
    check_part(found, expected[0], part, tolerance)
    np.testing.assert_array_equal(np.asarray(result.data), found)
    check_place(result, stain(image, model), {"y": y[0], "x": x[0]})


def test_a_region_in_time_and_depth(normed):
    image = Raster.from_array(image_of((4, 2, 3, 40, 33)), "tczyx", placement=PLACEMENT)
    region = {"t": (1, 3), "z": slice(2, None), "y": (5, 30), "x": (8, 9)}
    every = stain(image, normed, tile=16, context="exact")
    result = stain(image, normed, region=region, tile=16, context="exact")
    assert result.shape == (2, 1, 25, 1)
    expected = every.compute()
    check_part(result.compute(), expected, np.s_[1:3, 2:3, 5:30, 8:9], CONTEXT)
    check_place(result, every, {"t": 1, "z": 2, "y": 5, "x": 8})


def test_a_region_in_time_of_several_images(plain):
    first, second = (Raster.from_array(v, "tyx") for v in image_of((2, 4, 40, 33)))
    channels = [0, second]
    expected = stain(first, plain, channels=channels, tile=16).compute()[2:]
    result = stain(first, plain, channels=channels, tile=16, region={"t": (2, 4)})
    np.testing.assert_array_equal(result.compute(), expected)


def test_planes_that_are_channels_are_counted_in_the_whole_image(plain):
    image = Raster.from_array(image_of((5, 40, 33)), "zyx")
    channels = [("z", 1), ("z", 4)]
    expected = stain(image, plain, channels=channels, tile=16).compute()
    with pytest.raises(InputError, match=r"z=4|region"):
        stain(image, plain, channels=channels, tile=16, region={"z": (1, 3)}).compute()
    found = stain(image, plain, channels=channels, tile=16, region={"y": (8, 20)})
    check_equal(found.compute(), expected[8:20], PLAIN)


@pytest.mark.parametrize(
    "region",
    [
        {"y": (61, 90)},
        {"x": (-9, 0)},
        {"y": (20, 20)},
        {"y": (30, 20)},
        {"x": slice(50, None)},
        [(70, 3), (70, 20), (90, 20), (90, 3)],
        ((5, 10), (200, 300)),
    ],
    ids=str,
)
def test_a_region_entirely_outside_is_refused(plain, region):
    image = Raster.from_array(IMAGE, "cyx", name="scan")
    with pytest.raises(
        InputError, match=r"no pixel of image 'scan', which has \d+ along .*overlaps"
    ):
        stain(image, plain, region=region)


@pytest.mark.parametrize(
    "region",
    [
        "left", 7, [(1, 2, 3)], {"y": 5}, {"y": "ab"}, {"y": (1, np.nan)}, {"y": (3, np.inf)},
        {"y": slice(0, 40, 2)}, [1, 2], np.zeros((4, 2, 2)), {"y": (1, None)},
    ],
    ids=str,
)  # fmt: skip
def test_a_region_that_cannot_be_read_is_refused(plain, region):
    with pytest.raises(InputError, match=r"Expected a region as .*corners of a rectangle; got"):
        stain(Raster.from_array(IMAGE, "cyx"), plain, region=region)


@pytest.mark.parametrize("axis", ["c", "t", "q"])
def test_a_region_names_axes_of_the_image(plain, axis):
    with pytest.raises(InputError, match=f"axis '{axis}'.*'cyx'"):
        stain(Raster.from_array(IMAGE, "cyx"), plain, region={axis: (0, 1)})


# Types


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "auto"])
def test_integers_span_the_cards_range_and_clip(dtype):
    values = np.array([[-1e30, -3, -1, -0.5, 0, 0.25, 1, 1.01, 3, 1e30]] * 2, "f4")
    model = identity(output_range=(-1.0, 1.0))
    result = stain(values, model, dtype=dtype, tile=4)
    if dtype == "float16":
        values = values.clip(-6e4, 6e4)
        result = stain(values, model, dtype=dtype, tile=4)
    found = result.compute()
    assert result.dtype == found.dtype == (np.dtype("f4") if dtype == "auto" else np.dtype(dtype))
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(found, values.astype(found.dtype))
        assert result.display["limits"] == [[-1, 1]]
    else:
        top = np.iinfo(dtype).max
        np.testing.assert_array_equal(found, np.rint((values.clip(-1, 1) + 1) / 2 * top))
        assert (found[0, 0], found[0, -1]) == (0, top)
        assert result.display["limits"] == [[0, top]]


@pytest.mark.parametrize("dtype", ["int8", "float64", "int64", "nonsense", "complex64"])
def test_other_types_are_refused(plain, dtype):
    with pytest.raises(InputError, match=f"dtype='{dtype}': expected auto, uint8, uint16"):
        stain(Raster.from_array(IMAGE, "cyx"), plain, dtype=dtype)


@pytest.mark.parametrize("kind", ["none", "dtype", "percentile", "standard"])
@pytest.mark.parametrize(
    "make",
    {
        "big-endian": lambda v: v.astype(">u2"),
        "big-endian float": lambda v: (v / 7).astype(">f4"),
        "float16": lambda v: (v / 300).astype("f2"),
        "float64": lambda v: v / 7,
        "bool": lambda v: v > 120,
        "int8": lambda v: (v.astype(int) - 128).astype("i1"),
        "int64": lambda v: v.astype("i8") - 100,
        "uint64": lambda v: v.astype("u8"),
        "backwards": lambda v: v[:, ::-1, ::-1],
        "every other": lambda v: np.repeat(np.repeat(v, 2, 1), 2, 2)[:, ::2, ::2],
        "Fortran": np.asfortranarray,
        "read-only": lambda v: np.broadcast_to(v[:, :, :1], v.shape),
    }.values(),
)
def test_values_are_what_they_are_however_they_lie_in_memory(make, kind):
    torch.manual_seed(0)
    network = Fn(lambda self, x: self.a(x), a=conv(2, 1, 3))
    model = model_of(network, normalisation=Normalisation(kind, 2, 98))
    values = make(IMAGE)
    native = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("="))
    signed = native.astype("f8") if native.dtype.kind == "u" and kind != "dtype" else native
    stats = model.measure(native)
    if native.dtype.kind == "u" and native.itemsize > 1:
        signed = native.astype("f8")
    expected = whole(model, signed, stats)
    for source in (values, da.from_array(values, chunks=(1, 20, 17))):
        result = stain(open_image(source, axes="cyx"), model, tile=16)
        check_equal(result.compute(), expected, PLAIN)


# Sizes


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(shape):
    with pytest.raises(InputError, match="empty"):
        stain(np.zeros(shape), identity())


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (9, 40)])
@pytest.mark.parametrize("kind", ["plain", "several"])
def test_images_smaller_than_the_halo(shape, kind, request):
    model = request.getfixturevalue(kind)
    image = image_of((2, *shape))
    result = stain(Raster.from_array(image, "cyx"), model, tile=4)
    assert result.shape[-2:] == shape
    check_equal(result.compute(), whole(model, image), PLAIN)


@pytest.mark.parametrize("tile", [0, -3, 2.5, "large", None, True])
def test_a_tile_is_a_positive_number_of_pixels(plain, tile):
    with pytest.raises(InputError, match=r"tile=.*'auto' or a positive number"):
        stain(Raster.from_array(IMAGE, "cyx"), plain, tile=tile)


# NaN


@pytest.mark.parametrize("kind", ["plain", "several"])
def test_values_that_are_no_numbers_are_counted(kind, request):
    model = request.getfixturevalue(kind)
    image = IMAGE.astype("f4")
    image[0, 30, 20:23] = np.nan
    image[1, 31, 5] = np.inf
    result = stain(Raster.from_array(image, "cyx"), model)
    for read in (result.compute, result.data.compute):
        with pytest.raises(InputError, match=r"^4 of 6100 values .*nonfinite='background'.*repair"):
            read()


def test_background_is_the_darkest_value_of_each_channel_in_every_tile(plain):
    image = IMAGE.astype("f4")
    image[0, 10:50, 8:40] = np.nan
    image[1, 0, 0], image[1, 5, 5] = np.inf, -np.inf
    good = np.isfinite(image)
    darkest = np.where(good, image, np.inf).min((1, 2), keepdims=True)
    expected = whole(plain, np.where(good, image, darkest))
    result = stain(Raster.from_array(image, "cyx"), plain, tile=16, nonfinite="background")
    check_equal(result.compute(), expected, PLAIN)


def test_other_ways_with_nan_are_refused(plain):
    with pytest.raises(InputError, match="nonfinite='skip': expected 'error' or 'background'"):
        stain(Raster.from_array(IMAGE, "cyx"), plain, nonfinite="skip")


# Values of the whole image


def test_an_earlier_result_gives_its_values_again(normed, tmp_path):
    image = Raster.from_array(IMAGE, "cyx")
    first = stain(image, normed, tile=16, context="exact")
    expected = first.compute()
    path = first.save(tmp_path / "first.ome.zarr")
    saved = open_image(path)
    assert json.loads(json.dumps(saved.provenance)) == saved.provenance
    for context in (first, saved, saved.provenance):
        part = stain(image, normed, region={"y": (20, 33)}, tile=8, context=context)
        check_equal(part.compute(), expected[20:33], CONTEXT)
        job = part.runner.job
        assert [v.how["context"] for v in job.known.values()] == ["lock-step"]
        np.testing.assert_array_equal(job.known[()].stats, first.runner.job.known[()].stats)


def test_a_lazy_result_finds_its_values_when_they_are_asked_for(normed):
    image = Raster.from_array(image_of((3, 2, 40, 33)), "tcyx")
    first = stain(image, normed, tile=16, context="exact")
    part = stain(image, normed, region={"t": (1, 2)}, tile=16, context=first)
    assert set(first.runner.job.known) == {(1,)}
    check_equal(part.compute(), first.compute()[1:2], CONTEXT)


def test_values_of_a_step_before_are_not_taken_for_this_ones(normed, tmp_path):
    """A stain of a stain carries the provenance of both."""
    image = Raster.from_array(IMAGE[:1], "cyx")
    network = EXACT["resnet"]
    torch.manual_seed(5)
    one = model_of(Fn(lambda self, x: self.a(torch.cat([x, x], 1)), a=network()), 1, 1)
    stained = open_image(stain(image, one, tile=16, context="exact").save(tmp_path / "a.ome.zarr"))
    assert stained.provenance["values"]
    second = stain(stained, one, tile=16, context="exact")
    expected = second.compute()
    part = stain(stained, one, region={"y": (0, 20)}, tile=16, context=second)
    check_equal(part.compute(), expected[:20], CONTEXT)


def test_context_of_another_model_or_place_is_refused(normed, plain):
    image = Raster.from_array(image_of((3, 2, 40, 33)), "tcyx")
    part = stain(image, normed, region={"t": (0, 2)}, tile=16, context="exact")
    with pytest.raises(InputError, match=r"model 'small'.*context='auto'"):
        stain(image, plain, context=part)
    with pytest.raises(InputError, match=r"not of plane \(2,\).*context='auto'"):
        stain(image, normed, context=part)
    with pytest.raises(InputError, match=r"'auto', 'exact', 'sampled', 'tile'.*got int"):
        stain(image, normed, context=3)
    with pytest.raises(InputError, match=r"Unknown context 'all'.*auto, exact, sampled, tile"):
        stain(image, normed, context="all")


def test_provenance_says_how_it_was_made(normed, tmp_path):
    image = Raster.from_array(IMAGE, "cyx", name="scan")
    result = stain(image, normed, tile=16, region={"y": (5, 20)}, context="exact", dtype="uint16")
    (step,) = result.provenance["steps"]
    assert step["step"] == "stain"
    assert (step["model"], step["image"]) == ("small", "scan")
    assert step["weights"] == normed.fingerprint
    assert step["settings"]["tile"] == 16
    assert step["settings"]["region"] == {"y": [5, 20]}
    saved = open_image(result.save(tmp_path / "a.ome.zarr")).provenance
    (source,) = saved["steps"][0]["sources"]
    assert differences(source.pop("signature"), signature(image)) == []
    assert saved["steps"] == result.provenance["steps"]
    assert saved["versions"]["torch"] == torch.__version__
    assert saved["exact"] is True
    assert list(saved["values"]) == [""]


# Models, devices, pixel sizes


def test_an_unknown_model_lists_those_there_are():
    with pytest.raises(ModelError) as caught:
        stain(IMAGE[0], "phase-to-dap")
    assert "'phase-to-dap'" in str(caught.value)
    for card in list_models():
        assert card.name in str(caught.value)


def test_a_model_for_another_task_names_the_right_call():
    with pytest.raises(
        InputError, match=r"'nuclei'.*to segment, not to stain.*napari_tincture\.segment"
    ):
        stain(IMAGE[0], "nuclei")


def test_what_is_no_model_is_refused():
    for given in (EXACT["unet"](), None, 3):
        with pytest.raises(InputError, match=r"a path or a Model, got .*Model\(network, card\)"):
            stain(Raster.from_array(IMAGE, "cyx"), given)


def test_outputs_and_directions_that_the_model_lacks(plain):
    image = Raster.from_array(IMAGE, "cyx")
    with pytest.raises(InputError, match=r"'small' offers the outputs 'image', 'std'.*'uncert"):
        stain(image, plain, outputs=("image", "uncertainty"))
    with pytest.raises(InputError, match=r"one direction, 'forward'.*'backward'"):
        stain(image, plain, direction="backward")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_without_cuda_is_told_at_once(plain, device):
    with pytest.raises(DeviceError, match=r"'cuda.*device='auto' or 'cpu'"):
        stain(Raster.from_array(IMAGE, "cyx"), plain, device=device)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"device": "gpu"}, "Unknown device 'gpu'.*auto, cpu"),
        ({"precision": "double"}, "Unknown precision 'double'.*float32, tf32"),
        ({"precision": "float16", "device": "cpu"}, "precision='float16' on cpu.*Use"),
    ],
)
def test_devices_and_precisions_that_are_not_there(plain, option, words):
    with pytest.raises(DeviceError, match=words):
        stain(Raster.from_array(IMAGE, "cyx"), plain, **option)


@pytest.mark.parametrize("bfloat16_units", [False], indirect=True)
def test_slow_bfloat16_is_warned_of_once(plain, bfloat16_units):
    image = Raster.from_array(IMAGE, "cyx")
    with pytest.warns(TinctureWarning, match="staining can take ten times.*'auto'") as told:
        stain(image, plain, device="cpu", precision="bfloat16", outputs=("image", "std"))
    assert len(told) == 1


def sized(size, unit="micrometer", **options):
    placement = Placement.build("cyx", scale=(1, *size), units=("pixel", unit, unit))
    return Raster.from_array(IMAGE, "cyx", name="scan", placement=placement, **options)


def test_pixels_of_another_size_are_refused_or_ignored():
    model = model_of(EXACT["nearest"](), pixel_size=0.65)
    # Binned or enlarged twofold, in any unit, along one axis.
    for image in (sized((0.325, 0.325)), sized((325, 325), "nanometer"), sized((1.3, 1.3))):
        words = rf"'scan' has pixels of {image.pixel_size[0]:.4g} × .*'small' .* 0\.65 µm.*Resample"
        with pytest.raises(InputError, match=words + r".*pixel_size='ignore'"):
            stain(image, model)
        assert stain(image, model, pixel_size="ignore").shape == (61, 50)
    with pytest.raises(InputError, match=r"0\.65 × 0\.8"):
        stain(sized((0.65, 0.8)), model)
    with pytest.raises(InputError, match="pixel_size='resample': expected 'refuse' or 'ignore'"):
        stain(sized((0.65, 0.65)), model, pixel_size="resample")


def test_pixels_within_a_tenth_and_of_unknown_size_are_taken():
    model = model_of(EXACT["nearest"](), pixel_size=0.65)
    for image in (sized((0.71, 0.59)), sized((3, 3), "pixel"), Raster.from_array(IMAGE, "cyx")):
        assert stain(image, model).shape == (61, 50)
    assert stain(sized((5, 5)), model_of(EXACT["nearest"]())).shape == (61, 50)


# Laziness


def test_nothing_is_read_before_the_result_is(plain):
    asked = []

    def block(block_id):
        asked.append(block_id)
        return IMAGE[:, :, :25]

    source = da.map_blocks(
        block, chunks=((2,), (61,), (25, 25)), dtype="u1", meta=np.empty((0, 0, 0), "u1")
    )
    torch.manual_seed(0)
    model = model_of(EXACT["unet"](), normalisation=Normalisation("none"))
    result = stain(open_image(source, axes="cyx"), model, tile=16, region={"x": (0, 10)})
    assert result.shape == (61, 10)
    assert asked == []
    result.compute()
    assert asked


def test_lazy_and_saved_are_computed(several, tmp_path):
    result = stain(Raster.from_array(IMAGE, "cyx"), several, tile=16)
    expected = result.compute()
    np.testing.assert_array_equal(np.asarray(result), expected)
    np.testing.assert_array_equal(np.asarray(result.data), expected)
    part = result.crop({"c": slice(1, 2), "y": slice(7, 40)})
    np.testing.assert_array_equal(part.compute(), expected[1:2, 7:40])
    assert part.channels == ("out1",)
    for name in ("a.ome.zarr", "a.ome.tif"):
        again = open_image(result.save(tmp_path / name))
        np.testing.assert_array_equal(np.asarray(again), expected)
        assert again.channels == result.channels
