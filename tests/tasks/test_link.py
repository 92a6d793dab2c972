"""Numbers that go through a stack: of hand-made planes, and the same whatever the tiles."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from found import NONE, STEP, blobs, finder, maps_of
from models import model_of
from networks import Fn

from napari_tincture import CancelToken, Raster, link, open_image, segment
from napari_tincture.errors import Cancelled, InputError, TinctureError
from napari_tincture.io.unfinished import partial_path
from napari_tincture.placement import Placement


def stack(*planes: str) -> np.ndarray:
    """Planes (z, 1, x) of digits; a dot is background."""
    return np.array([[[0 if c == "." else int(c) for c in plane]] for plane in planes], "u2")


def numbers(found: Raster) -> list[str]:
    planes = np.asarray(found)[:, 0]
    return ["".join("." if n == 0 else str(n) for n in plane) for plane in planes]


def linked(*planes: str, least: float = 0.5) -> list[str]:
    return numbers(link(open_image(stack(*planes), axes="zyx"), least=least))


def test_an_object_keeps_its_number_and_a_new_one_gets_the_next():
    assert linked("11.22", "55.44", "99...") == ["11.22", "11.22", "11..."]
    assert linked("111..", "711..") == ["111..", "211.."]  # a third of it is another's


def test_of_a_split_the_similar_part_keeps_the_number():
    assert linked("1111.", "1112.") == ["1111.", "1112."]
    assert linked("1111", "1122") == ["1111", "2233"]  # neither half is


def test_a_merger_has_the_number_of_its_partner_and_what_comes_back_is_new():
    assert linked("11112", "33333", "11112") == ["11112", "11111", "11113"]
    assert linked("11.", "...", "11.") == ["11.", "...", "22."]


def test_below_a_half_as_many_pairs_as_can_be():
    # The most similar pair, 1 with 8 (4 of 9 pixels), would leave both others alone.
    assert linked("111111222", "998888888", least=0.3) == ["111111222", "112222222"]


def test_along_time_the_planes_of_a_stack_are_apart():
    movie = np.stack([stack("11.", "11."), stack("33.", "3.3")])
    found = np.asarray(link(open_image(movie, axes="tzyx"), "t"))[:, :, 0]
    assert found.tolist() == [[[1, 1, 0], [2, 2, 0]], [[1, 1, 0], [3, 0, 3]]]
    z = np.asarray(link(open_image(movie, axes="tzyx"), "z"))[:, :, 0]
    assert z.tolist() == [[[1, 1, 0], [1, 1, 0]], [[2, 2, 0], [3, 0, 3]]]


def discs() -> np.ndarray:
    """Planes (z, y, x) of objects that drift, some of which come or go."""
    image = blobs((50, 60), 10, seed=2, apart=1.2)
    planes = [np.roll(image, (k, 2 * k), (0, 1)) for k in range(3)]
    planes[1][:20] = 0
    return np.stack(planes)


def test_linked_objects_are_the_same_whatever_the_tiles_and_the_way(tmp_path):
    image, model = open_image(discs(), axes="zyx", scale=(3, 2, 2), units="um"), finder()
    plain = segment(image, model)
    labels = plain.compute()
    expected = link(Raster.from_array(labels, "zyx")).compute()
    found = segment(image, model, link="z", tile=32)
    np.testing.assert_array_equal(found.compute(), expected)
    np.testing.assert_array_equal(link(plain).data[2, 10:40].compute(), expected[2, 10:40])
    saved = open_image(found.save(tmp_path / "linked.ome.zarr"))
    np.testing.assert_array_equal(saved, expected)
    assert saved.kind == "labels"
    assert saved.placement == plain.placement == found.placement
    assert saved.provenance["objects"] == expected.max() < labels.max()
    assert saved.provenance["steps"][-1]["settings"]["link"] == "z"
    assert not list(tmp_path.glob("*.partial"))


def test_a_result_travels_as_its_recipe_and_goes_on_after_a_stop(tmp_path):
    labels = open_image(np.repeat(stack("11.2", "1122"), 300, 1), axes="zyx")
    result = link(labels)
    other = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(other, result)
    with pytest.raises(TinctureError, match="save"):
        pickle.dumps(result.data)

    path, token = tmp_path / "linked.ome.zarr", CancelToken()
    with pytest.raises(Cancelled):
        result.save(path, progress=lambda done, _: done > 2 and token.cancel(), cancel=token)
    result.save(path)
    np.testing.assert_array_equal(open_image(path), result)
    assert not partial_path(path).exists()


def test_the_labels_are_computed_once():
    runs: Counter[str] = Counter()

    def counted(_, x):
        runs["network"] += 1
        return maps_of(None, x)

    card = {"task": "segment", "normalisation": NONE, "instances": STEP}
    model = model_of(Fn(counted), 1, 3, **card)
    runs.clear()
    segment(open_image(discs(), axes="zyx"), model, link="z", tile=256).compute()
    assert runs["network"] == 3


def test_labels_lie_where_they_were():
    placement = Placement.build("zyx", scale=(2, 0.5, 0.5), translate=(1, 5, 7), units="um")
    labels = Raster.from_array(stack("11", "11"), "zyx", placement=placement, kind="labels")
    assert link(labels).placement == placement


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (stack("11", "11")[0], {}, "no 'z'"),
        (stack("11", "11").astype("f4"), {}, "float32"),
        (stack("11", "11"), {"axis": "y"}, "axis='y'"),
        (stack("11", "11"), {"least": 0}, "least=0"),
    ],
)
def test_what_cannot_be_linked(labels, options, words):
    axes = "zyx"[-labels.ndim :]
    with pytest.raises(InputError, match=words):
        link(open_image(labels, axes=axes), **options)


def test_link_and_sizes_are_of_objects():
    with pytest.raises(InputError, match="output='classes'"):
        segment(discs()[0], finder(), output="classes", min_size=3)
