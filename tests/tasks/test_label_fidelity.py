"""Label fidelity: what a segmentation finds in images, against the maps they were made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from painters import at_once, label_map
from torch import nn

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.widths import ClassWidths
from napari_tincture.models.card import Channel, ModelCard
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation

GREYS = {0: 40, 1: 120, 4: 220}
NAMES = {0: "field", 1: "cell", 4: "wall"}


class Nearest(nn.Module):
    """Classes of pixels by how near their grey is to known ones."""

    def __init__(self, greys: list[float]) -> None:
        super().__init__()
        self.greys = torch.tensor(greys)[:, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, 1, y, x) of 0 … 1 to scores (b, classes, y, x)."""
        return -(x * 255 - self.greys).abs()


def segmenter(names: dict[int, str] = NAMES, **more: Any) -> Model:
    """Knows the greys of some classes."""
    outputs = tuple(Channel(name, value=value) for value, name in names.items())
    card = ModelCard(
        name="nearest", task="segment", architecture="test", inputs=(Channel("grey"),),
        outputs=outputs, normalisation=Normalisation("dtype"), **more,
    )  # fmt: skip
    return Model(Nearest([float(GREYS[value]) for value in names]), card)


def painted(labels: np.ndarray) -> np.ndarray:
    image = np.zeros(labels.shape, np.uint8)
    for value, grey in GREYS.items():
        image[labels == value] = grey
    return image


def iou(found: np.ndarray, expected: np.ndarray, value: int) -> float:
    a, b = found == value, expected == value
    return float((a & b).sum() / (a | b).sum())


def test_images_that_show_their_maps_are_wholly_faithful() -> None:
    maps = [label_map(seed=n) for n in range(2)]
    found = nt.label_fidelity([painted(m) for m in maps], maps, segmenter())
    assert found.mean_iou == found.accuracy == 1
    assert found.per_image == (1, 1)
    assert [(one.name, one.value) for one in found.classes] == [(n, v) for v, n in NAMES.items()]
    pixels = np.stack(maps)
    for one in found.classes:
        assert one.share == pytest.approx((pixels == one.value).mean())
    assert math.isnan(found.ratio)
    assert found.left_out == {}


def test_figures_are_those_of_plain_loops() -> None:
    maps = [label_map(seed=n) for n in range(3)]
    shown = [np.roll(m, 2, axis=1) for m in maps]
    real = [np.roll(m, 1, axis=0) for m in maps]
    found = nt.label_fidelity(
        [painted(m) for m in shown], maps, segmenter(), reference_images=[painted(m) for m in real]
    )
    whole = [np.stack(each) for each in (maps, shown, real)]
    for one in found.classes:
        assert one.iou == pytest.approx(iou(whole[1], whole[0], one.value))
        assert one.reference_iou == pytest.approx(iou(whole[2], whole[0], one.value))
    ious = [np.mean([iou(s, m, v) for v in NAMES]) for s, m in zip(shown, maps, strict=True)]
    assert found.per_image == pytest.approx(ious)
    assert found.ratio == pytest.approx(found.mean_iou / found.reference_mean_iou)
    assert found.ratio < 1
    assert f"{found.ratio:.3f}" in found.to_markdown().splitlines()[-1]


def test_stacks_and_lists_are_the_same() -> None:
    maps = np.stack([label_map(seed=n) for n in range(2)])
    images = painted(np.roll(maps, 1, axis=2))
    stack = nt.label_fidelity(
        nt.open_image(images, axes="zyx"), nt.open_image(maps, axes="zyx"), segmenter()
    )
    assert stack == nt.label_fidelity(list(images), list(maps), segmenter())


def test_classes_match_by_name_and_strangers_are_left_out() -> None:
    labels = label_map()
    # A segmenter that gives the same classes other values, and does not know walls.
    other = segmenter({0: "field", 1: "cell"})
    card = other.card.replace(outputs=(Channel("field", value=5), Channel("cell", value=3)))
    made = nt.synthesize(labels, at_once())
    found = nt.label_fidelity(made, labels, other.with_card(card))
    assert [(one.name, one.value) for one in found.classes] == [("field", 5), ("cell", 3)]
    assert found.left_out == {"wall": pytest.approx((labels == 4).mean())}
    assert "wall" in found.to_markdown()
    # Without names values alone are compared: here none is a class.
    with pytest.raises(InputError, match="none of which is a class"):
        nt.label_fidelity(painted(labels), labels, other.with_card(card))


def test_values_that_a_training_took_for_one_class_are_one() -> None:
    labels = label_map()
    split = labels.copy()
    split[:20][split[:20] == 1] = 2
    recipe = {"options": {"classes": [{"value": 1, "name": "cell", "also": [2]}]}}
    known = nt.label_fidelity(painted(labels), split, segmenter(recipe=recipe))
    assert known.mean_iou == 1
    assert known.left_out == {}
    unknown = nt.label_fidelity(painted(labels), split, segmenter())
    assert unknown.left_out == {"2": pytest.approx((split == 2).mean())}
    given = nt.label_fidelity(painted(labels), split, segmenter(), classes={2: "cell", 4: None})
    assert [one.name for one in given.classes] == ["field", "cell"]
    assert given.classes[1].iou == 1


def test_equal_values_of_other_names_are_not_taken_for_the_same() -> None:
    labels = label_map()
    names = {0: "cell", 1: "nothing like it", 4: "wall"}
    found = nt.label_fidelity(painted(labels), labels, segmenter(), names=names)
    assert [one.name for one in found.classes] == ["cell", "wall"]
    assert set(found.left_out) == {"nothing like it"}


def test_rare_and_thin_classes_are_named() -> None:
    labels = np.zeros((200, 200), np.uint8)
    labels[:, 50:58] = 1
    labels[150:160, 100:130] = 4
    kinds = {
        one.name: one.kind
        for one in nt.label_fidelity(painted(labels), labels, segmenter()).classes
    }
    assert kinds == {"field": "", "cell": "thin", "wall": "rare, thin"}


@pytest.mark.parametrize("width", [4, 10, 30])
def test_widths_are_those_of_strips(width: int) -> None:
    labels = np.zeros((300, 200), np.uint8)
    labels[:, 90 : 90 + width] = 1
    widths = ClassWidths({1: 7})
    widths.add(nt.open_image(labels, axes="yx"))
    assert widths.pixels == {7: 300 * width}
    assert widths.width(7) == pytest.approx(width, rel=0.03)


def test_widths_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = nt.open_image(label_map(300, 260), axes="yx")
    whole, parts = (ClassWidths({0: 0, 1: 1, 4: 1}) for _ in range(2))
    whole.add(labels)
    monkeypatch.setattr("napari_tincture.metrics.labels.widths.SIDE", 70)
    parts.add(labels)
    assert parts.pixels == whole.pixels
    for number in (0, 1):
        assert parts.width(number) == pytest.approx(whole.width(number))


def test_bad_input_is_named() -> None:
    labels = label_map()
    with pytest.raises(InputError, match="1 images and 2 label maps"):
        nt.label_fidelity([painted(labels)], [labels, labels], segmenter())
    with pytest.raises(InputError, match="expected the same"):
        nt.label_fidelity(painted(labels)[:-1], labels, segmenter())
    with pytest.raises(InputError, match="does not segment"):
        nt.label_fidelity(painted(labels), labels, segmenter(), classes={0: "sky"})
    with pytest.raises(InputError, match="empty list"):
        nt.label_fidelity([], [], segmenter())
