"""Objects do not show where tiles met: the same labels whatever the tiles, planes and readers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from found import NONE, STEP, blobs, finder, labels_of, maps_of
from models import PLAIN, check_equal, image_of, model_of, whole
from networks import EXACT, Fn
from skimage.measure import label

from napari_tincture import Raster, compare, open_image, segment, stain
from napari_tincture.errors import InputError, ModelError
from napari_tincture.instances import label_instances
from napari_tincture.models import Model
from napari_tincture.models.card import Channel, ModelCard, Part
from napari_tincture.models.networks.unet import SMALL
from napari_tincture.models.realism import Realism
from napari_tincture.models.registry import build_network
from napari_tincture.placement import Placement
from napari_tincture.tasks.segment import Classes, values_of
from napari_tincture.tiling.engine import Engine


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two label maps divide the image alike, whatever the numbers."""
    pairs = {tuple(p) for p in np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).T.tolist()}
    one_to_one = len({p for p, _ in pairs}) == len({q for _, q in pairs}) == len(pairs)
    return one_to_one and ((a > 0) == (b > 0)).all()


@pytest.fixture(scope="module")
def crowd():
    """An image of more than 300 objects, many of them in clumps, and their labels."""
    image = blobs((250, 330), 400, apart=0.7)
    expected = labels_of(image)
    assert expected.max() > 300
    assert label(expected > 0).max() < 0.8 * expected.max()
    return image, expected


@pytest.fixture
def forwards(monkeypatch):
    """How often each model's network ran."""
    found: Counter[str] = Counter()
    network = Engine.network

    def counting(self, batch):
        found[self.model.card.name] += len(batch)
        return network(self, batch)

    monkeypatch.setattr(Engine, "network", counting)
    return found


# Tiles


@pytest.mark.parametrize("tile", [16, 23, 40, 64, 100, 331, "auto"])
def test_the_same_labels_whatever_the_tiles(crowd, tile):
    image, expected = crowd
    result = segment(image, finder(), tile=tile)
    np.testing.assert_array_equal(result.compute(), expected)


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_same_labels_whatever_the_image(seed):
    image = blobs((150, 140), 110, seed, apart=0.6)
    result = segment(image, finder(), tile=16)
    np.testing.assert_array_equal(result.compute(), labels_of(image))


@pytest.mark.parametrize("tile", [16, 40, 331])
def test_lazy_objects_are_the_streamed_ones_under_other_numbers(crowd, tile):
    image, expected = crowd
    result = segment(image, finder(), tile=tile)
    lazy = result.data.compute(scheduler="synchronous")
    assert same_partition(lazy, expected)
    # A number is the place of the object's first pixel, so it follows the scan as well.
    first = np.unique(expected, return_index=True)[1][1:]
    assert np.unique(lazy)[1:].tolist() == (first + 1).tolist()
    part = result.data[30:90, 100:200].compute()
    np.testing.assert_array_equal(part, lazy[30:90, 100:200])


def test_numbers_follow_the_first_pixels(crowd):
    image, _ = crowd
    found = segment(image, finder(), tile=40).compute()
    numbers, first = np.unique(found, return_index=True)
    assert numbers.tolist() == list(range(found.max() + 1))
    assert (np.diff(first[1:]) > 0).all()


@pytest.mark.parametrize("tile", [16, 20, 32])
def test_objects_over_the_corners_of_tiles(tile):
    image = np.zeros((96, 96), "f4")
    y, x = np.mgrid[:96, :96]
    for cy in range(tile, 90, tile):
        for cx in range(tile, 90, tile):
            own = 1 - ((y - cy) ** 2 + (x - cx) ** 2) / 6**2
            image = np.maximum(image, own.astype("f4"))
    expected = labels_of(image)
    per_side = len(range(tile, 90, tile))
    assert expected.max() == per_side**2
    np.testing.assert_array_equal(segment(image, finder(), tile=tile).compute(), expected)


def test_objects_at_the_border_of_the_image():
    image = np.zeros((50, 50), "f4")
    image[:8, :8] = image[42:, 40:] = image[20:30, 44:] = 1
    expected = label(labels_of(image) > 0)
    np.testing.assert_array_equal(segment(image, finder(), tile=16).compute(), expected)


def test_an_object_larger_than_the_halo_is_told_where_it_is_saved(tmp_path):
    image = np.zeros((90, 90), "f4")
    image[10:80, 30:42] = 1
    image[40:46, 60:70] = 1
    result = segment(image, finder(largest=20), tile=16)
    np.testing.assert_array_equal(result.compute() > 0, labels_of(image) > 0)
    assert "warning" not in result.provenance
    saved = open_image(result.save(tmp_path / "a.ome.zarr"))
    assert "more than the halo of 20 pixels" in saved.provenance["warning"]
    # Seen whole, nothing is told; nor of a step that was made before.
    small = segment(image, finder(largest=80), tile=16)
    assert "warning" not in open_image(small.save(tmp_path / "b.ome.zarr")).provenance
    assert "warning" not in segment(saved, finder()).provenance


def test_a_long_object_is_one_though_no_tile_sees_it_whole():
    image = np.zeros((60, 200), "f4")
    image[20:26, 5:190] = 1
    image[40:46, 5:30] = 1
    # One seed per object, as along a ridge without tops.
    step = {"largest": 24, "smooth": 0}
    found = segment(image, finder(**step), tile=16).compute()
    np.testing.assert_array_equal(found, labels_of(image, **step))
    assert found.max() == 2


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (20, 20)])
@pytest.mark.parametrize("value", [0, 1])
def test_without_objects_and_with_nothing_else(shape, value):
    image = np.full(shape, value, "f4")
    result = segment(image, finder(), tile=8)
    found = result.compute()
    assert found.dtype == result.dtype == np.int32
    np.testing.assert_array_equal(found, labels_of(image))
    assert found.max() == (value if found.size >= STEP["min_size"] else 0)


# Readers


def test_a_stain_that_is_segmented_compared_and_saved_is_computed_once(forwards, tmp_path):
    depth = blobs((120, 130), 60)
    dyer = model_of(Fn(lambda _, x: 1 - x), 1, 1, name="dyer", normalisation=NONE)
    stained = stain(1 - depth, dyer, tile=32)
    nuclei = segment(stained, finder(), tile=50)
    assert forwards == {}
    found = nuclei.compute()
    tiles = len(stained.runner.job.grid)
    assert forwards == {"dyer": tiles, "finder": len(nuclei.runner.job.grid)}
    difference = compare(stained, depth, data_range=1, metrics=["mse"]).table[0]["mse"]
    assert difference < 1e-12
    stained.save(tmp_path / "a.ome.zarr")
    stained.crop({"y": slice(5, 60)}).compute()
    nuclei.save(tmp_path / "b.ome.zarr")
    segment(stained, finder(), tile=40).compute()
    assert forwards["dyer"] == tiles
    np.testing.assert_array_equal(found, labels_of(stained.compute()))


def test_lazy_objects_run_the_network_once(forwards):
    result = segment(blobs((120, 130), 60), finder(), tile=32)
    result.data.compute()
    result.data.compute()
    result.compute()
    assert forwards == {"finder": len(result.runner.job.grid)}


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_labels_are_saved_as_they_are_computed(tmp_path, name):
    placement = Placement.build("yx", scale=(0.5, 0.25), translate=(3, -7), units="micrometer")
    image = Raster.from_array(blobs((90, 100), 40), "yx", placement=placement, name="scan")
    result = segment(image, finder(), tile=32)
    again = open_image(result.save(tmp_path / name))
    expected = labels_of(np.asarray(image))
    np.testing.assert_array_equal(np.asarray(again), expected)
    assert again.kind == "labels"
    assert again.provenance["objects"] == expected.max()
    assert again.provenance["steps"][-1]["step"] == "segment"
    assert again.provenance["steps"][-1]["settings"]["output"] == "labels"
    np.testing.assert_allclose(again.placement.matrix(), placement.matrix())


# Planes and regions


@pytest.mark.parametrize("axes", ["tyx", "tzyx", "zcyx"])
def test_planes_go_on_counting_and_never_share_a_number(axes):
    shape = {"tyx": (3,), "tzyx": (2, 2), "zcyx": (3, 1)}[axes]
    same = blobs((60, 70), 18)
    planes = [same, same, blobs((60, 70), 12, 1), same][: np.prod(shape)]
    image = Raster.from_array(np.reshape(planes, (*shape, 60, 70)), axes)
    result = segment(image, finder(), tile=32)
    assert result.axes == axes.replace("c", "")
    assert result.kind == "labels"
    found = result.compute().reshape(-1, 60, 70)
    lazy = np.asarray(result.data.compute()).reshape(-1, 60, 70)
    before, seen = 0, set()
    for plane, labels, provisional in zip(planes, found, lazy, strict=True):
        alone = labels_of(plane)
        np.testing.assert_array_equal(labels, np.where(alone, alone + before, 0))
        before += alone.max()
        assert same_partition(provisional, alone)
        numbers = set(np.unique(provisional)[1:].tolist())
        assert not numbers & seen
        seen |= numbers


def test_a_region_is_segmented_on_its_own_where_it_lies():
    image = blobs((100, 110), 45)
    placement = Placement.build("yx", scale=(0.5, 0.25), translate=(3, -7), units="micrometer")
    raster = Raster.from_array(image, "yx", placement=placement)
    result = segment(raster, finder(), region={"y": (21, 83), "x": (-4, 77)}, tile=16)
    part = image[21:83, :77]
    # The maps are the whole's: the network sees beyond the region.
    maps = maps_of(None, torch.from_numpy(image)[None, None])[0, :, 21:83, :77].numpy()
    np.testing.assert_array_equal(result.compute(), label_instances(maps, min_size=5))
    assert result.shape == part.shape
    assert result.translate == (3 + 21 * 0.5, -7)
    # Objects that do not touch its edge are those of the whole.
    found, expected = result.compute(), labels_of(image)[21:83, :77]
    edge = np.ones(found.shape, bool)
    edge[8:-8, 8:-8] = False
    inner = np.isin(found, np.setdiff1d(found, found[edge]))
    assert inner.sum() > 500
    assert same_partition(np.where(inner, found, 0), np.where(inner, expected, 0))


@pytest.mark.parametrize("output", ["classes", "probabilities"])
@pytest.mark.parametrize("axes", ["yx", "tyx"])
def test_maps_of_a_region_are_that_part_of_the_whole(output, axes):
    images = np.stack([blobs((100, 110), 45, seed) for seed in range(2)])
    image = Raster.from_array(images if axes == "tyx" else images[0], axes)
    every = segment(image, finder(), output=output, tile=32).compute()
    region = {"y": (21, 83), "x": (5, 77)} | ({"t": (1, 2)} if axes == "tyx" else {})
    part = segment(image, finder(), output=output, region=region, tile=16)
    expected = every[..., 21:83, 5:77]
    np.testing.assert_array_equal(part.compute(), expected[1:] if axes == "tyx" else expected)


@pytest.mark.parametrize("region", [{"y": (100, 120)}, [(200, 0), (200, 9), (220, 9), (220, 0)]])
def test_a_region_outside_is_refused(region):
    with pytest.raises(InputError, match="holds no pixel"):
        segment(blobs((50, 50), 5), finder(), region=region)


# Outputs


def test_probabilities_are_the_networks_maps():
    image = image_of((2, 61, 50))
    model = model_of(EXACT["unet"](), name="classes", task="segment")
    result = segment(Raster.from_array(image, "cyx"), model, output="probabilities", tile=16)
    assert (result.kind, result.dtype) == ("image", np.float32)
    check_equal(result.compute(), whole(model, image), PLAIN)
    result = segment(blobs((60, 70), 18), finder(), output="probabilities", tile=16)
    assert (result.axes, result.channels) == ("cyx", ("out0", "out1", "out2"))


def classes_of(count: int):
    network = Fn(lambda _, x: torch.cat([x * 0 + 0.1, x, x * x][:count], 1))
    return model_of(network, 1, count, name="sorter", task="segment", normalisation=NONE)


@pytest.mark.parametrize("axes", ["yx", "tyx"])
def test_classes_are_the_likeliest(axes):
    image = np.linspace(-2, 2, 30 * 40, dtype="f4").reshape(30, 40)
    maps = np.stack([np.full_like(image, 0.1), image, image * image])
    source = Raster.from_array(image if axes == "yx" else image[None], axes)
    result = segment(source, classes_of(3), output="classes", tile=16)
    assert (result.axes, result.kind, result.dtype) == (axes, "labels", np.uint8)
    found = result.compute()
    np.testing.assert_array_equal(found.reshape(30, 40), maps.argmax(0))
    assert set(np.unique(found)) == {0, 1, 2}
    assert result.placement.ndim == len(axes)
    assert result.channels == ()


def test_classes_of_one_map_or_of_objects_lie_above_a_threshold():
    image = blobs((60, 70), 18)
    network = Fn(lambda _, x: x)
    one = model_of(network, 1, 1, name="one", task="segment", normalisation=NONE)
    found = segment(image, one, output="classes", tile=16).compute()
    np.testing.assert_array_equal(found, image > 0.5)
    high = segment(image, finder(threshold=0.9), output="classes", tile=16).compute()
    dilated = maps_of(None, torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_array_equal(high, dilated > 0.9)


def judged(network: torch.nn.Module, **card) -> Model:
    """A model of any network, and a discriminator of its three maps with its two channels."""
    part = Part("patch", {"in_channels": 5, "ndf": 2, "n_layers": 2, "norm": "batch"})
    plain = model_of(network, 2, 3, name="judged", task="segment", normalisation=NONE)
    judge = build_network(part.architecture, part.options, "discriminators")
    return Model(network, plain.card.replace(parts={"discriminator": part}, **card),
                 {"discriminator": judge})  # fmt: skip


def test_realism_is_what_the_discriminator_says_of_image_and_maps_in_tiles_as_at_once():
    torch.manual_seed(0)
    model = judged(build_network("unet", {**SMALL, "head": "softmax"}))
    values = image_of((2, 64, 48), "float32")
    image = open_image(values, axes="cyx", scale=(0.5, 0.5))
    x = torch.from_numpy(values)[None]
    with torch.inference_mode():
        expected = Realism.of(model)(x, model.network(x))[0].numpy()
    result = segment(image, model, output="realism", tile=16)
    assert (result.axes, result.kind, result.dtype) == ("yx", "image", np.float32)
    assert result.scale == (0.5, 0.5)
    check_equal(result.compute(), expected, PLAIN)
    low, high = np.quantile(expected, [0.25, 0.75])
    steps = np.linspace(low, high, 101).tolist()
    shares = segment(image, model.with_card(model.card.replace(calibration=tuple(steps))),
                     output="realism")  # fmt: skip
    # The share of quantiles below a score, between two of them in proportion.
    wanted = np.interp(expected, steps, np.linspace(0, 1, 101))
    np.testing.assert_allclose(shares.compute()[None], wanted, atol=1e-3)


def test_models_that_cannot_tell_realism_say_why():
    image = image_of((2, 61, 50))
    with pytest.raises(ModelError, match=r"'sorter'.*adversarial_segmentation"):
        segment(image[0], classes_of(3), output="realism")
    bare = judged(build_network("unet", {**SMALL, "padded": False}))
    with pytest.raises(ModelError, match=r"no padding.*padded=True"):
        segment(Raster.from_array(image, "cyx"), bare, output="realism")


def test_classes_can_be_saved(tmp_path):
    image = blobs((60, 70), 18)
    result = segment(image, finder(), output="classes", tile=16)
    again = open_image(result.save(tmp_path / "a.ome.zarr"))
    np.testing.assert_array_equal(np.asarray(again), result.compute())
    assert again.kind == "labels"


# What is refused


def test_objects_need_a_step_that_the_card_names():
    with pytest.raises(ModelError, match=r"'sorter'.*no instance step.*'classes' or 'prob"):
        segment(blobs((30, 30), 3), classes_of(3))


def test_other_outputs_and_models_are_refused():
    image = blobs((30, 30), 3)
    with pytest.raises(InputError, match=r"output='masks': expected 'labels', .* or 'realism'"):
        segment(image, finder(), output="masks")
    with pytest.raises(InputError, match=r"'small' is made to stain, not to segment.*\.stain\("):
        segment(image, model_of(Fn(lambda _, x: x), 1))


def test_values_that_are_no_numbers():
    image = blobs((60, 70), 18)
    expected = labels_of(image)
    image[image == 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        segment(image, finder(), tile=16).compute()
    darkest = np.nanmin(image)
    assert darkest < 0.02
    found = segment(image, finder(), tile=16, nonfinite="background").compute()
    np.testing.assert_array_equal(found > 0, labels_of(np.nan_to_num(image, nan=darkest)) > 0)
    assert found.max() == expected.max()


def test_classes_have_the_values_of_their_labels() -> None:
    maps = np.zeros((3, 1, 4), np.float32)
    maps[[2, 0, 1, 2], 0, range(4)] = 1
    outputs = [Channel(f"class {value}", value=value) for value in (4, 9, 300)]
    card = ModelCard("m", "segment", "unet", (Channel("grey"),), tuple(outputs))
    classes = Classes(None, values_of(card))
    found = classes(maps)
    assert found.tolist() == [[[300, 4, 9, 300]]]
    assert found.dtype == classes.dtype == np.uint16
    assert Classes(None)(maps).dtype == np.uint8
    assert values_of(card.replace(instances={})) == ()
