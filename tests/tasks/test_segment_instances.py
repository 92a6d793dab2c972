"""Objects from whatever maps a model gives: the user says which are of what."""

from __future__ import annotations

import numpy as np
import pytest
from found import NONE, blobs, finder, labels_of
from models import model_of
from networks import Fn

import napari_tincture as nt
from napari_tincture.errors import InputError, ModelError
from napari_tincture.instances import label_instances
from napari_tincture.models.card import Channel


def maps_model(card=None, order=(0, 1, 2)):
    """The finder of these tests, whose card knows nothing of objects."""
    own = finder()
    network = Fn(lambda _, x: own.network(x)[:, list(order)])
    made = model_of(network, 1, len(order), name="maps", task="segment", normalisation=NONE)
    names = [("foreground", "boundary", "inner")[place] for place in order]
    outputs = tuple(Channel(name) for name in names)
    return made.with_card(made.card.replace(outputs=outputs, **(card or {})))


@pytest.mark.parametrize("tile", [16, 40, "auto"])
def test_maps_named_by_the_user_give_the_objects_of_a_card_that_names_them(tile):
    image = blobs((150, 140), 110, apart=0.6)
    step = {"object": "foreground", "depth": 2, "border": "boundary", "min_size": 5}
    model = maps_model(order=(1, 0, 2))
    found = nt.segment(image, model, instances=step, tile=tile)
    np.testing.assert_array_equal(found.compute(), labels_of(image))


def test_a_class_becomes_objects():
    image = blobs((60, 70), 18)
    model = maps_model()
    found = nt.segment(image, model, instances={"object": "foreground", "min_size": 1}, tile=16)
    maps = np.asarray(nt.segment(image, model, output="probabilities"))
    expected = label_instances(maps[:1], roles=("object",), min_size=1)
    np.testing.assert_array_equal(found.compute(), expected)
    assert expected.max() > 3


def test_what_the_user_says_goes_before_the_card_and_is_recorded():
    image = blobs((60, 70), 18)
    model = finder()
    higher = nt.segment(image, model, instances={"threshold": 0.9})
    expected = nt.segment(image, finder(threshold=0.9))
    np.testing.assert_array_equal(higher.compute(), expected.compute())
    (step,) = nt.explain(higher).steps
    assert step["settings"]["instances"] == {"threshold": 0.9}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"object": "nucleus"}, r"object='nucleus' is no map of 'maps', which gives foreground, b"),
        ({"object": 3}, r"object=3 is no map"),
        ({"border": 1}, r"names border but no map of objects"),
        ({"object": 0, "depth": "foreground"}, "'foreground' is named as object and as depth"),
        ({"object": 0, "cutoff": 1}, r"instances names cutoff; expected object, border, depth"),
    ],
)
def test_names_that_mean_nothing_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        nt.segment(blobs((40, 40), 4), maps_model(), instances=given)


def test_without_any_word_of_objects_the_remedy_is_named():
    with pytest.raises(ModelError, match=r"instances=\{'object': 'foreground'\}") as caught:
        nt.segment(blobs((40, 40), 4), maps_model())
    assert "Choose which of them" in caught.value.panel
    with pytest.raises(InputError, match="leave instances="):
        nt.segment(blobs((40, 40), 4), maps_model(), output="classes", instances={"object": 0})
