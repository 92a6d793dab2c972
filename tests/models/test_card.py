from __future__ import annotations

import json

import numpy as np
import pytest

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import Channel, ModelCard, Normalisation


def full_card() -> ModelCard:
    return ModelCard(
        name="a",
        task="segment",
        architecture="unet",
        inputs=(Channel("x", "what", "red"), Channel("y")),
        outputs=(Channel("z"),),
        options={"depth": 2, "padded": True},
        normalisation=Normalisation("percentile", 1, 99.8, (-1.0, 1.0), clip=(-2.0, 2.0)),
        output_range=(-1.0, 1.0),
        pixel_size=0.5,
        stride=4,
        halo=12,
        exact=True,
        instances={"threshold": 0.5},
        figures={"f1": 0.9},
    )


def test_round_trip_is_the_identity() -> None:
    card = full_card()
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown fields: colour"),
        ({"version": 2}, "version 2"),
        ({"task": "paint"}, "Unknown task 'paint'"),
        ({"inputs": []}, "no input"),
        ({"inputs": 3}, "wrong kind"),
        ({"inputs": ["x"]}, "channel as a JSON object"),
        ({"normalisation": {"kind": "magic"}}, "Unknown normalisation 'magic'"),
        ({"normalisation": {"kind": "range", "low": 3, "high": 3}}, "low < high"),
        ({"output_range": 1}, "wrong kind"),
    ],
)
def test_bad_fields_are_named(change: dict[str, object], message: str) -> None:
    values = json.loads(full_card().to_json()) | change
    with pytest.raises(ModelError, match=message):
        ModelCard.from_json(json.dumps(values))


def test_missing_fields_and_other_texts_are_refused() -> None:
    values = json.loads(full_card().to_json())
    del values["name"]
    with pytest.raises(ModelError, match="lacks the fields name"):
        ModelCard.from_json(json.dumps(values))
    with pytest.raises(ModelError, match="JSON"):
        ModelCard.from_json("{")
    with pytest.raises(ModelError, match="JSON object"):
        ModelCard.from_json("[]")


IMAGE = np.random.default_rng(0).integers(3, 200, (2, 30, 40), dtype=np.uint8)


def _applied(normalisation: Normalisation, image: np.ndarray) -> np.ndarray:
    gain, offset = normalisation.affine(normalisation.measure(image))
    return image * gain[:, None, None] + offset[:, None, None]


def test_standard_gives_mean_zero_and_deviation_one() -> None:
    values = _applied(Normalisation("standard"), IMAGE)
    np.testing.assert_allclose(values.mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(values.std((1, 2)), 1, rtol=1e-12)


def test_percentiles_land_on_the_target() -> None:
    values = _applied(Normalisation("percentile", 5, 95, (-1, 1)), IMAGE)
    np.testing.assert_allclose(np.percentile(values, [5, 95], axis=(1, 2)).T, [[-1, 1]] * 2)


@pytest.mark.parametrize(
    ("normalisation", "values", "expected"),
    [
        (Normalisation("none"), np.array([5.0]), 5.0),
        (Normalisation("range", 100, 300), np.array([200.0]), 0.5),
        (Normalisation("dtype", target=(-1, 1)), np.array([255], np.uint8), 1.0),
        (Normalisation("dtype"), np.array([-32768], np.int16), 0.0),
        (Normalisation("dtype"), np.array([0.25], np.float32), 0.25),
    ],
)
def test_fixed_rules(normalisation: Normalisation, values: np.ndarray, expected: float) -> None:
    assert not normalisation.needs_image
    assert _applied(normalisation, values.reshape(1, 1, 1)).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["standard", "percentile"])
def test_flat_planes_stay_finite(kind: str) -> None:
    normalisation = Normalisation(kind, 1, 99)
    assert normalisation.needs_image
    assert np.isfinite(_applied(normalisation, np.full((1, 4, 4), 7.0))).all()


def test_only_planes_with_pixels_are_measured() -> None:
    with pytest.raises(InputError, match=r"\(c, y, x\)"):
        Normalisation("standard").measure(np.zeros((3, 4)))
    with pytest.raises(InputError, match="pixels"):
        Normalisation("standard").measure(np.zeros((1, 0, 4)))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int16", "float32"])
@pytest.mark.parametrize(
    "normalisation", [Normalisation("percentile", 1, 99.8), Normalisation("standard")]
)
def test_statistics_are_numpys_whatever_the_type(dtype: str, normalisation: Normalisation) -> None:
    values = np.random.default_rng(0).normal(60, 20, (2, 300, 501)).clip(0, 120).astype(dtype)
    found = normalisation.measure(values)
    exact = values.astype(np.float64).reshape(2, -1)
    if normalisation.kind == "percentile":
        expected = np.percentile(exact, [1, 99.8], axis=1).T
    else:
        expected = np.stack([exact.mean(axis=1), exact.std(axis=1)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
