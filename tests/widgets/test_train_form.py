"""The settings of the Train panel, its curves and durations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_tincture.errors import InputError
from napari_tincture.training.families import describe_families
from napari_tincture.training.presets import preset
from napari_tincture.widgets._curves import Curves, thinned
from napari_tincture.widgets._train_form import LOADED, TrainForm
from napari_tincture.widgets._train_row import duration
from napari_tincture.worker.train_settings import Side, TrainSettings
from napari_tincture.worker.training import make_recipe


@pytest.fixture(scope="module")
def families() -> list[dict[str, Any]]:
    return describe_families()


@pytest.fixture
def form(qtbot: Any, families: list[dict[str, Any]]) -> TrainForm:
    form = TrainForm()
    qtbot.addWidget(form)
    form.offer(families)
    return form


def test_families_are_offered_before_and_after_their_titles_are_known(
    qtbot: Any, families: list[dict[str, Any]]
) -> None:
    form = TrainForm()
    qtbot.addWidget(form)
    names = [form.family.itemData(i) for i in range(form.family.count())]
    assert names == [family["name"] for family in families]
    with pytest.raises(InputError, match="One moment"):
        form.settings()
    form.offer(families)
    texts = [form.family.itemText(i) for i in range(form.family.count())]
    assert texts == [family["title"] for family in families]


def test_fields_left_alone_change_nothing(form: TrainForm) -> None:
    for name in ("cyclegan", "ugatit", "regression"):
        form.family.value = name
        settings = form.settings()
        assert (settings["changes"], settings["networks"], settings["base"]) == ({}, {}, None)
        assert settings["name"] == f"{name} tiny"
    form.preset.value = "standard"
    assert form.learning.widgets["lr"].placeholderText() == "0.001"
    assert form.about.text() == "As published, for a graphics card; crops of 256 px, 30,000 steps"


def test_what_is_set_is_in_the_settings(form: TrainForm) -> None:
    form.family.value = "ugatit"
    form.networks.texts = {"n_res": "6", "light": False}
    form.losses.texts = {"cam": "500"}
    form.data.texts = {
        "crop": "64", "flips": (True, True), "channels_a": "0, DAPI", "validation": "0.2",
        "values": "percentile",
    }  # fmt: skip
    form.learning.texts = {"lr": "1e-4", "decay": "exponential", "factor": "0.9", "every": "2"}
    form.intervals.texts = {"preview_every": "7"}
    settings = form.settings()
    assert settings["networks"] == {"n_res": 6, "light": False}
    assert settings["preview_every"] == 7
    assert settings["changes"] == {
        "crop": 64, "flips": (True, True), "lr": 1e-4, "decay": "exponential", "factor": 0.9,
        "every": 2, "weights": {"cam": 500.0}, "split": {"validation": 0.2},
    }  # fmt: skip
    assert form.channels() == {"a": (0, "DAPI"), "b": None}
    assert form.value("values") == "percentile"
    assert form.advanced._button.text() == "Advanced: 13 set"
    # What the chosen schedule does not use is neither shown nor passed on.
    form.learning.texts = {"decay": "constant"}
    assert not form.learning.widgets["factor"].isVisibleTo(form)
    assert "factor" not in form.settings()["changes"]
    form.learning.texts = {"lr": "fast"}
    with pytest.raises(InputError, match="Learning rate: expected a number, got 'fast'"):
        form.settings()


def test_a_loaded_recipe_is_taken_as_it_is(form: TrainForm, tmp_path: Path) -> None:
    given = preset("ugatit", "tiny", name="blood", lr=3e-5, crop=96, networks={"n_res": 6})
    form.load(given.to_dict())
    assert form.preset.value == LOADED
    assert form.learning.widgets["lr"].placeholderText() == "3e-05"
    assert not form.foldings["Networks"].isVisibleTo(form)
    form.learning.texts = {"steps": "5"}
    sides = {"a": Side(images=("x",)), "b": Side(images=("y",))}
    settings = TrainSettings(sides=sides, **form.settings())
    described = {name: {"images": list(side.images)} for name, side in sides.items()}
    made = make_recipe(settings, described)
    assert made.networks == given.networks
    assert (made.schedule.steps, made.schedule.lr, made.sampling.crop) == (5, 3e-5, 96)
    assert made.data == described
    assert made.schedule.hold == 2, "the rate falls over the same half"
    form.family.value = "cyclegan"
    assert form.settings()["base"] is None
    with pytest.raises(InputError, match="no recipe of"):
        form.load({"family": "nothing"})


def test_state_is_shown_again(qtbot: Any, form: TrainForm, families: Any) -> None:
    form.family.value, form.preset.value = "attentiongan", "large"
    form.name.setText("mine")
    form.losses.texts = {"identity": "0"}
    other = TrainForm()
    qtbot.addWidget(other)
    other.offer(families)
    other.recall(form.state())
    assert other.settings() == form.settings()
    assert other.settings()["changes"]["weights"] == {"identity": 0.0}


def test_curves_are_drawn_thinned_and_can_be_hidden(qtbot: Any) -> None:
    plot = Curves()
    qtbot.addWidget(plot)
    plot.resize(300, 200)
    plot.show()
    rng = np.random.default_rng(0)
    points = [(step, float(value)) for step, value in enumerate(rng.random(50_000))]
    plot.show_curves({"generator": points, "other": [(0, 1.0), (50_000, 3.0)]}, 50_000)
    before = plot.grab().toImage()
    (place, _) = plot.legend().values()
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    assert plot.hidden == {"generator"}
    assert plot.grab().toImage() != before
    plot.set_log(True)
    plot.show_curves({"zero": [(0, 0.0), (1, float("nan"))], "one": [(1, 1.0)]})
    plot.grab()
    # No more points than pixels show, with the extremes of each column among them.
    x = np.linspace(0, 299, 50_000)
    y = np.array([value for _, value in points])
    thin = thinned(x, y)
    assert len(thin) <= 4 * 300
    for column in (0, 150, 298):
        own, kept = y[np.floor(x) == column], thin[np.floor(thin[:, 0]) == column, 1]
        assert (kept.min(), kept.max()) == (own.min(), own.max())
    few = np.linspace(0, 299, 900)
    np.testing.assert_array_equal(thinned(few, y[:900]), np.stack([few, y[:900]], axis=1))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.2, "5 s"), (300, "5 min"), (7500, "2 h 5 min"), (3600 * 60, "2 d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
