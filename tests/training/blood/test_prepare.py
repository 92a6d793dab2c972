import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_tincture.errors import InputError
from napari_tincture.samples import blood_smear, unstained_blood
from napari_tincture.training.blood.prepare import (
    Settings,
    cell_diameters,
    painted_over,
    prepare,
    removal,
    split_smears,
)
from napari_tincture.training.blood.unstaining import FIELD_DIAMETER, empty_field
from napari_tincture.training.images.domains import Domain


@pytest.fixture(scope="module")
def smear():
    return np.moveaxis(np.asarray(blood_smear()), 0, -1)


def test_no_smear_is_in_two_parts():
    paths = [Path(f"BloodImage_{n:05}.jpg") for n in range(40)]
    parts = split_smears(paths)
    assert sorted(path for members in parts.values() for path in members) == paths
    assert {p.stem[-1] for p in parts["test"]} == {"8", "9"}
    assert {p.stem[-1] for p in parts["validation"]} == {"7"}
    assert len(parts["source"]) == len(parts["target"]) == 14


def test_the_stated_diameter_is_that_of_the_real_field():
    found = cell_diameters(np.asarray(unstained_blood()), 20)
    assert len(found) > 15
    assert np.median(found) == pytest.approx(FIELD_DIAMETER, abs=0.1)


def test_cells_that_are_taken_out_leave_background(smear):
    image = smear[::2, ::2].astype(float)
    empty = empty_field(image, 47.0)
    weight = removal(empty, 1, diameter=47.0, cover=(0.0, 0.0))
    painted = painted_over(image, weight, empty, 1, 47.0)
    inside = weight > 0.99
    assert inside.mean() > 0.2
    colour = np.median(image[empty], axis=0)
    assert np.abs(painted[inside] - colour).max() < 40
    np.testing.assert_array_equal(painted[weight == 0], image[weight == 0])
    assert not removal(empty, 1, diameter=47.0, cover=(1.0, 1.0)).any()


def test_some_cells_stay_in_sparse_fields():
    empty = np.ones((400, 400), bool)
    y, x = np.mgrid[:400, :400]
    for n in range(64):
        empty[np.hypot(y - 25 - 50 * (n // 8), x - 25 - 50 * (n % 8)) < 20] = False
    left = ~empty & (removal(empty, 1, diameter=40.0, cover=(0.1, 0.1)) < 0.5)
    # 12 cells of 1,245 pixels fit under a tenth of the field.
    assert 0.08 < left.mean() <= 0.1


def test_two_domains_and_pairs_are_written(tmp_path, smear):
    smears = tmp_path / "smears"
    smears.mkdir()
    for n, part in enumerate((0, 1, 2, 7, 8)):
        Image.fromarray(np.roll(smear, 90 * n, axis=1)).save(smears / f"smear_{part}.png")
    out = tmp_path / "out"
    manifest = prepare(smears, out, Settings(diameter=30.0, sparse=1.0))
    assert json.loads((out / "manifest.json").read_text()) == manifest
    assert manifest["split"] == {
        "source": ["smear_0.png", "smear_2.png"], "target": ["smear_1.png"],
        "validation": ["smear_7.png"], "test": ["smear_8.png"],
    }  # fmt: skip
    source = Domain.from_json({"images": "train/source", "channels": [0]}, out)
    target = Domain.from_json({"images": "train/target", "channels": [0, 1, 2]}, out)
    assert (len(source.pictures), len(target.pictures)) == (2, 1)
    size = source.pictures[0].shape
    for name in ("source", "target", "debris"):
        with Image.open(out / "test" / name / "smear_8.png") as image:
            assert image.size == size[::-1]
    written = {file for entry in manifest["images"] for file in entry["files"].values()}
    assert written == {p.relative_to(out).as_posix() for p in out.rglob("*.png")}
    before = (out / "train/source/smear_0.png").read_bytes()
    prepare(smears, tmp_path / "again", Settings(diameter=30.0, sparse=1.0))
    assert (tmp_path / "again/train/source/smear_0.png").read_bytes() == before


def test_too_few_smears_and_names_without_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least two"):
        split_smears([Path("a_1.png")])
    with pytest.raises(InputError, match="end in a number"):
        split_smears([Path("a.png")])


def test_an_unusable_smear_is_named(tmp_path, smear):
    for part in (0, 1):
        Image.fromarray(smear[::3, ::3]).save(tmp_path / f"s_{part}.png")
    flat = np.full((40, 40, 3), 90, np.uint8)
    flat[0, 0] = 250
    Image.fromarray(flat).save(tmp_path / "s_8.png")
    with pytest.raises(InputError, match=r"s_8.png: .*background"):
        prepare(tmp_path, tmp_path / "out", Settings(diameter=0.0, sparse=0.0))
