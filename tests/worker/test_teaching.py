"""A session in the worker: what it is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells import discs

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError, TrainingError
from napari_tincture.raster import Raster
from napari_tincture.training.labels import interactive, stroke_crops
from napari_tincture.training.labels.interactive import Session
from napari_tincture.worker import teaching
from napari_tincture.worker.inbox import Inbox
from napari_tincture.worker.teach_settings import TeachSettings
from napari_tincture.worker.teaching import Teaching, pieces
from napari_tincture.worker.wire import Message

CLASSES = (
    {"value": 2, "name": "ground", "colour": "#000000"},
    {"value": 300, "name": "cell", "colour": "#ff0000"},
)
NARROW = {"depth": 2, "width": 6, "max_width": 8}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"FIRST": 8, "MORE": 4}.items():
        monkeypatch.setattr(interactive, name, value)
    for name, value in {"CROP": 32, "BATCH": 2}.items():
        monkeypatch.setattr(stroke_crops, name, value)
    for name, value in {"MORE": 2, "ENOUGH": 12, "PIECE": 64}.items():
        monkeypatch.setattr(teaching, name, value)
    monkeypatch.setenv("NAPARI_TINCTURE_MODELS", str(tmp_path))


@cache
def picture() -> tuple[np.ndarray, np.ndarray]:
    image, objects = discs(3, side=100, count=9)
    return image, np.where(objects > 0, 300, 2).astype(np.uint16)


def paint(inbox: Inbox, number: int, row: int, labels: np.ndarray) -> None:
    fields = {"number": number, "y": row, "x": 0, "plane": []}
    inbox.take(Message("steer", {"what": "paint", **fields}, labels))


def ask(inbox: Inbox, what: str, **fields: Any) -> None:
    inbox.take(Message("steer", {"what": what, **fields}))


def row(number: int) -> np.ndarray:
    return picture()[1][number : number + 1]


def teach(
    inbox: Inbox, then: Callable[[str, dict[str, Any]], None]
) -> list[tuple[str, dict[str, Any]]]:
    """Run a session until `then`, called with all that is told, cancels it."""
    told: list[tuple[str, dict[str, Any]]] = []

    def send(kind: str, payload: np.ndarray | None = None, **fields: Any) -> None:
        told.append((kind, {**fields, "labels": payload}))
        then(kind, fields)

    session = Session(picture()[0], CLASSES, network=NARROW)
    with pytest.raises(Cancelled):
        Teaching(session, [2, 300], inbox, send, clock=lambda: 0.0).run()
    return told


def all_of(told: list[tuple[str, dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    return [fields for name, fields in told if name == kind]


def test_what_is_shown_at_last_is_what_the_kept_model_finds() -> None:
    inbox, rested = Inbox(), [0]

    def then(kind: str, said: dict[str, Any]) -> None:
        if rested[0]:
            rested[0] += kind == "seen"
        elif kind == "update":
            rested[0] += said["resting"]
        if kind == "seen" and rested[0] == 1 + 4:
            called = [dict(CLASSES[0]), {**CLASSES[1], "name": "nucleus"}]
            ask(inbox, "keep", name="my cells", classes=called)
        elif kind == "kept":
            inbox.cancel()

    ask(inbox, "look", view={"number": 5, "plane": [], "y": [10, 90], "x": [0, 100]})
    for number, at in enumerate((20, 40, 60), 1):
        paint(inbox, number, at, row(at))
    told = teach(inbox, then)
    assert all_of(told, "painted")[-1]["pixels"] == [
        sum(int((row(at) == value).sum()) for at in (20, 40, 60)) for value in (2, 300)
    ]
    updates = all_of(told, "update")
    assert [said["steps"] for said in updates] == [8, 12]
    assert (updates[-1]["stroke"], updates[-1]["resting"]) == (3, True)
    assert updates[-1]["mean_iou"] > updates[-1]["constant"]
    assert all_of(told, "kept")[0]["name"] == "my-cells"
    shown = np.zeros((80, 100), np.uint16)
    for said in all_of(told, "seen"):
        height, width = said["labels"].shape
        shown[said["y"] : said["y"] + height, said["x"] : said["x"] + width] = said["labels"]
    model = nt.load_model("my-cells")
    assert [output.name for output in model.card.outputs] == ["ground", "nucleus"]
    found = np.asarray(nt.segment(picture()[0], model, output="classes"))[10:90]
    # Pixels on the fence may fall to either side by rounding.
    assert (found != shown).mean() < 0.002


def test_one_painted_class_is_told_and_mended_by_a_stroke() -> None:
    inbox = Inbox()

    def then(kind: str, said: dict[str, Any]) -> None:
        if kind == "trouble":
            paint(inbox, 2, 40, row(40))
        elif kind == "update":
            inbox.cancel()

    paint(inbox, 1, 20, np.full((1, 100), 2, np.uint8))
    told = teach(inbox, then)
    (trouble,) = all_of(told, "trouble")
    assert trouble["message"].startswith("Painted is ground: ")
    assert all_of(told, "update")[0]["stroke"] == 2


def test_held_it_takes_strokes_and_learns_later() -> None:
    inbox = Inbox()

    def then(kind: str, said: dict[str, Any]) -> None:
        if kind == "warning":
            ask(inbox, "learn", on=True)
        elif kind == "update":
            inbox.cancel()

    ask(inbox, "learn", on=False)
    paint(inbox, 1, 20, row(20))
    ask(inbox, "keep", name="early", classes=CLASSES)
    told = teach(inbox, then)
    assert [kind for kind, _ in told] == ["painted", "warning", "update"]
    assert "Nothing is learned yet" in all_of(told, "warning")[0]["message"]


def test_a_stroke_in_the_middle_is_taken_between_steps() -> None:
    inbox = Inbox()
    session = Session(picture()[0], CLASSES, network=NARROW)
    told: list[str] = []

    def send(kind: str, payload: np.ndarray | None = None, **fields: Any) -> None:
        told.append(kind)
        if kind == "painted" and told.count("painted") == 1:
            paint(inbox, 2, 30, row(30))
        elif kind == "update":
            assert fields["stroke"] == 2
            inbox.cancel()

    paint(inbox, 1, 20, row(20))
    # A clock that has always run out: updates are as short as they may be.
    late = iter(range(0, 10**6, 1000))
    lesson = Teaching(session, [2, 300], inbox, send, clock=lambda: float(next(late)))
    with pytest.raises(Cancelled):
        lesson.run()
    assert told == ["painted", "painted", "update"]
    assert session.steps == teaching.LEAST


def test_a_loss_that_is_no_number_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactive, "RATE", 1e30)
    inbox = Inbox()
    paint(inbox, 1, 20, row(20))
    paint(inbox, 2, 40, row(40))
    image = Raster.from_array(picture()[0], "yx", name="cells")
    settings = TeachSettings(classes=CLASSES, device="cpu")
    with pytest.raises(TrainingError):
        teaching.teach_for_panel(settings, image, inbox, lambda *_, **__: None)


def test_pieces_cover_a_window_once_from_its_middle() -> None:
    seen = np.zeros((200, 300), int)
    offs = []
    for y, x in pieces((10, 190), (0, 300)):
        assert max(y.stop - y.start, x.stop - x.start) <= teaching.PIECE
        seen[y, x] += 1
        offs.append(np.hypot((y.start + y.stop) / 2 - 100, (x.start + x.stop) / 2 - 150))
    assert seen[10:190].min() == seen.max() == 1
    assert seen.sum() == 180 * 300
    assert offs == sorted(offs)


def test_settings_refuse_what_cannot_be_learned() -> None:
    with pytest.raises(InputError, match="second class"):
        TeachSettings(classes=CLASSES[:1])
    with pytest.raises(InputError, match="each once"):
        TeachSettings(classes=(CLASSES[0], CLASSES[0]))
    settings = TeachSettings(classes=CLASSES, seed=3)
    assert TeachSettings.from_json(settings.to_json()) == settings
