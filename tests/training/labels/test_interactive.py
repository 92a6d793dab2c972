from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cells import discs

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError, ModelError
from napari_tincture.progress import CancelToken
from napari_tincture.training.labels import interactive, stroke_crops
from napari_tincture.training.labels.interactive import Session

CLASSES = [{"value": 2, "name": "ground"}, {"value": 7, "name": "cell", "colour": "red"}]
NARROW = {"depth": 2, "width": 6, "max_width": 8}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FIRST": 12, "MORE": 4}.items():
        monkeypatch.setattr(interactive, name, value)
    for name, value in {"CROP": 32, "BATCH": 2}.items():
        monkeypatch.setattr(stroke_crops, name, value)


@cache
def picture() -> tuple[np.ndarray, np.ndarray]:
    image, objects = discs(3, side=120, count=14)
    return image, np.where(objects > 0, 7, 2).astype(np.uint8)


def painted(seed: int = 0) -> Session:
    image, classes = picture()
    session = Session(image, CLASSES, network=NARROW, seed=seed)
    strokes = np.zeros((5, 100), np.uint8)
    strokes[2] = classes[42, 10:110]
    session.paint(40, 10, strokes)
    return session


@pytest.mark.slow
def test_a_session_goes_on_from_a_model_that_was_kept(tmp_path: Path) -> None:
    _, classes = picture()
    first = painted()
    first.learn(30)
    view = (slice(0, 120), slice(0, 120))
    file = first.model("kept").save(tmp_path / "kept.safetensors")
    again = Session(picture()[0], CLASSES, start=str(file))
    np.testing.assert_allclose(again.predict(*view), first.predict(*view), atol=1e-5)
    # Another class more: what was learned of the image is taken, and the last layer is new.
    third = Session(picture()[0], [*CLASSES, {"value": 9, "name": "dirt"}], start=str(file))
    assert third.predict(*view).shape == (3, 120, 120)
    assert third.card.normalisation == first.card.normalisation
    strokes = np.zeros((5, 100), np.uint8)
    strokes[2] = classes[42, 10:110]
    third.paint(40, 10, strokes)
    found = third.learn(120)
    assert found["mean_iou"] > found["constant"] + 0.1
    assert third.model().card.start == "kept: forward but last.weight, last.bias"


def test_a_model_of_other_channels_is_no_beginning(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes 7 channels.*expected 1"):
        Session(picture()[0], CLASSES, start="phase-to-dapi")
    with pytest.raises(ModelError, match="nobody"):
        Session(picture()[0], CLASSES, start="nobody")


def test_strokes_teach_more_with_every_update() -> None:
    _, classes = picture()
    session = painted()
    first = session.learn(30)
    assert first["steps"] == 30
    column = np.zeros((120, 1), np.uint8)
    column[:, 0] = classes[:, 60]
    counts = session.paint(0, 60, column)
    assert counts["ground"] + counts["cell"] == 100 + 120 - 1
    found = session.learn()
    assert found["steps"] == 34
    assert found["mean_iou"] > found["constant"] + 0.2
    whole = session.predict(slice(0, 120), slice(0, 120))
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-6)
    right = np.array([2, 7])[whole.argmax(axis=0)] == classes
    assert right.mean() > 0.9
    # With all around it that the network sees; rounding aside.
    part = session.predict(slice(30, 75), slice(50, 120))
    np.testing.assert_allclose(part, whole[:, 30:75, 50:120], atol=1e-5)


def test_the_model_is_what_was_seen(tmp_path: Path) -> None:
    image, _ = picture()
    session = painted()
    session.learn()
    seen = session.predict(slice(0, 120), slice(0, 120))
    model = nt.load_model(session.model("mine").save(tmp_path / "mine.safetensors"))
    card = model.card
    assert (card.name, card.task, card.family) == ("mine", "segment", "segmentation")
    assert [(c.name, c.value, c.colour) for c in card.outputs][1] == ("cell", 7, "red")
    assert {"strokes mean_iou", "strokes constant"} <= card.figures.keys()
    found = np.asarray(nt.segment(image, model, output="probabilities"))
    np.testing.assert_allclose(found, seen, atol=1e-5)


def test_a_seed_decides_all_and_updates_add_up() -> None:
    where = slice(0, 64), slice(0, 64)
    one, other, third = painted(), painted(), painted(seed=1)
    one.learn(6)
    other.learn(2)
    other.predict(*where)
    other.learn(until=lambda steps, loss: steps == 6)
    third.learn(6)
    np.testing.assert_array_equal(one.predict(*where), other.predict(*where))
    assert not np.array_equal(one.predict(*where), third.predict(*where))


def test_what_cannot_be_done_is_refused() -> None:
    image, _ = picture()
    with pytest.raises(InputError, match="two classes at least"):
        Session(image, [3])
    session = Session(image, CLASSES, network=NARROW)
    with pytest.raises(InputError, match="Painted is nothing"):
        session.learn()
    session.paint(-3, 118, np.full((5, 5), 7, np.uint8))
    with pytest.raises(InputError, match="Painted is cell: there is nothing to tell apart"):
        session.learn()
    assert session.paint(0, 118, np.zeros((2, 2), np.uint8))["cell"] == 0
    with pytest.raises(InputError, match=r"y = 200, x = 0 lie outside.*120 × 120"):
        session.paint(200, 0, np.ones((2, 2), np.uint8))
    with pytest.raises(InputError, match="got float64"):
        session.paint(0, 0, np.ones((2, 2)))
    with pytest.raises(InputError, match=r"no plane \(4,\)"):
        session.predict(slice(0, 2), slice(0, 2), plane=(4,))
    with pytest.raises(InputError, match="leaves the image"):
        session.predict(slice(0, 121), slice(0, 2))
    stopped = CancelToken()
    stopped.cancel()
    with pytest.raises(Cancelled):
        painted().learn(cancel=stopped)
