"""A plate that we make has the layout of the one it is made from, and is valid at any time."""

import shutil

import pytest
import zarr
from ome_zarr_models.v05 import HCS
from plates import write_plate

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.open import open_image
from napari_tincture.io.plate import Field, PlateWriter, open_plate, plate_fields


def listed(path):
    """The fields of a plate as ome-zarr-models reads them."""
    plate = HCS.from_zarr(zarr.open_group(str(path), mode="r"))
    wells = zip(plate.ome_attributes.plate.wells, plate.well_groups, strict=True)
    return {
        f"{place.path}/{image.path}": image.acquisition
        for place, well in wells
        for image in well.ome_attributes.well.images
    }


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_a_plate_holds(tmp_path, version):
    plate = open_plate(write_plate(tmp_path / "p.zarr", version))
    assert plate.wells == ("A/1", "A/3", "B/2")
    assert plate.fields("A/3") == [Field("A/3", "0", 1), Field("A/3", "1", 2)]
    assert open_plate(tmp_path / "p.zarr" / "A" / "1") is None
    assert open_plate(tmp_path) is None


def test_a_well_that_is_missing_keeps_no_other_from_being_read(tmp_path):
    plate = open_plate(write_plate(tmp_path / "p.zarr"))
    shutil.rmtree(plate.path / "A" / "3")
    found = dict(plate_fields(plate))
    assert len(found["A/1"]) == len(found["B/2"]) == 2
    assert isinstance(found["A/3"], InputError)
    assert "Well A/3" in str(found["A/3"])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_it_is_valid_after_every_image(tmp_path, version):
    source = open_plate(write_plate(tmp_path / "p.zarr", version))
    target = tmp_path / "out.ome.zarr"
    order = [Field("B/2", "1", 2), Field("A/1", "0", 1), Field("B/2", "0", 1), Field("B/2", "1", 2)]
    writer = PlateWriter(target, source)
    added = {}
    for field in order:
        writer.prepare(field)
        assert listed(target) == added
        open_image(source.path / field.path).save(target / field.path, overwrite=True)
        writer.add(field)
        added[field.path] = field.acquisition
        assert listed(target) == added
        writer = PlateWriter(target, source)
    again = open_plate(target)
    assert again.wells == ("A/1", "B/2")
    assert [field.name for field in again.fields("B/2")] == ["0", "1"]
    for key in ("rows", "columns", "acquisitions", "name", "field_count"):
        assert again.metadata[key] == source.metadata[key]
    places = [(well["rowIndex"], well["columnIndex"]) for well in again.metadata["wells"]]
    assert places == [(0, 0), (1, 1)]


def test_other_things_are_not_written_over(tmp_path):
    source = open_plate(write_plate(tmp_path / "p.zarr"))
    with pytest.raises(OutputError, match="is the plate to be read"):
        PlateWriter(source.path, source)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(OutputError, match="exists and is no plate"):
        PlateWriter(tmp_path / "full", source)
    other = write_plate(tmp_path / "other.zarr")
    group = zarr.open_group(other, mode="r+")
    plate = {**group.attrs["ome"]["plate"], "columns": [{"name": "9"}]}
    group.attrs["ome"] = {"version": "0.5", "plate": plate}
    with pytest.raises(OutputError, match="another layout"):
        PlateWriter(other, source)
