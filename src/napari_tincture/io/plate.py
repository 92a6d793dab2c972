"""Plates of many fields (OME-Zarr HCS 0.4 and 0.5): what one holds, and making another like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.ome_zarr import is_zarr
from napari_tincture.io.output import writing

if TYPE_CHECKING:
    import zarr

VERSION = "0.5"
_KEPT = ("acquisitions", "columns", "field_count", "name", "rows")


@dataclass(frozen=True, slots=True)
class Field:
    """One image of a plate.

    Attributes
    ----------
    well
        Path of the well in the plate, ``"B/3"``.
    name
        Path of the image in the well, ``"0"``.
    acquisition
        Number of the run that took it; None if the plate does not say.
    """

    well: str
    name: str
    acquisition: int | None = None

    @property
    def path(self) -> str:
        """Path of the image in the plate, ``"B/3/0"``."""
        return f"{self.well}/{self.name}"


@dataclass(frozen=True, slots=True)
class Plate:
    """What a plate says of itself.

    Attributes
    ----------
    path
        Its folder.
    metadata
        Its ``plate`` object.
    """

    path: Path
    metadata: Mapping[str, Any]

    @property
    def wells(self) -> tuple[str, ...]:
        """Paths of the wells, in the plate's order."""
        return tuple(str(well["path"]) for well in self.metadata["wells"])

    def fields(self, well: str) -> list[Field]:
        """Give the images of a well, in its order.

        Raises
        ------
        InputError
            If the well is missing or says nothing of its images.
        """
        listed = _ome(self.path / well).get("well", {}).get("images")
        if not isinstance(listed, Sequence) or not listed:
            raise InputError(
                f"Well {well} of plate {self.path} is missing or names no images. Copy or convert "
                "the plate again, or give the other wells' images as a list."
            )
        return [Field(well, str(each["path"]), each.get("acquisition")) for each in listed]


def open_plate(path: Path) -> Plate | None:
    """Give the plate in a local folder; None if it holds none."""
    found = _ome(path).get("plate")
    complete = isinstance(found, Mapping) and all(key in found for key in ("wells", "rows"))
    return Plate(path, found) if found is not None and complete else None


class PlateWriter:
    """Makes a plate of the same layout as another; it is valid after every added image.

    Parameters
    ----------
    path
        Of the new plate, or of an earlier one with this layout, which is completed.
    layout
        Whose rows, columns and acquisitions are taken.

    Raises
    ------
    OutputError
        If something else is at `path`, or nothing can be written there.
    """

    def __init__(self, path: Path, layout: Plate) -> None:
        self.path, self._layout = path, layout
        before = open_plate(path)
        _check_place(path, before, layout)
        self._wells = set(before.wells) if before else set()
        if before is None:
            with writing(path):
                self._write_plate()

    def prepare(self, field: Field) -> None:
        """Make the well of a field; the plate names it once it has an image."""
        with writing(self.path):
            self._group(field.well)

    def add(self, field: Field) -> None:
        """Enter an image that was completely written; one that is known already stays."""
        with writing(self.path):
            images = list(_ome(self.path / field.well).get("well", {}).get("images", ()))
            if field.name not in [each["path"] for each in images]:
                images = self._in_order(field, [*images, _entry(field)])
                well: Any = {"version": VERSION, "images": images}
                self._group(field.well).attrs.update({"ome": {"version": VERSION, "well": well}})
            if field.well not in self._wells:
                self._wells.add(field.well)
                self._write_plate()

    def _in_order(self, field: Field, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        order = [each.name for each in self._layout.fields(field.well)]
        return sorted(images, key=lambda each: order.index(each["path"]))

    def _group(self, well: str) -> zarr.Group:
        import zarr

        plate = zarr.open_group(self.path, mode="r+", zarr_format=3)
        return plate.require_group(well.split("/")[0]).require_group(well.split("/")[1])

    def _write_plate(self) -> None:
        import zarr

        plate = {key: self._layout.metadata[key] for key in _KEPT if key in self._layout.metadata}
        wells = [_place_of(well, plate) for well in self._layout.wells if well in self._wells]
        own: Any = {"version": VERSION, **plate, "wells": wells}
        group = zarr.open_group(self.path, mode="a", zarr_format=3)
        group.attrs.update({"ome": {"version": VERSION, "plate": own}})


def plate_fields(plate: Plate) -> Iterator[tuple[str, list[Field] | InputError]]:
    """Give each well with its images, or with the reason why they are not known."""
    for well in plate.wells:
        try:
            yield well, plate.fields(well)
        except InputError as error:
            yield well, error


def _check_place(path: Path, before: Plate | None, layout: Plate) -> None:
    if path.absolute() == layout.path.absolute():
        raise OutputError(f"{path} is the plate to be read. Choose another folder.")
    if before is None and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} exists and is no plate. Choose another folder, or remove it.")
    names = ("rows", "columns")
    if before and any(before.metadata.get(key) != layout.metadata.get(key) for key in names):
        raise OutputError(
            f"{path} is a plate of another layout than {layout.path}. Choose another folder."
        )


def _place_of(well: str, plate: Mapping[str, Any]) -> dict[str, Any]:
    """A well as the plate lists it; older plates do not say its row and column."""
    row, column = well.split("/")
    rows, columns = ([str(each["name"]) for each in plate[key]] for key in ("rows", "columns"))
    return {"path": well, "rowIndex": rows.index(row), "columnIndex": columns.index(column)}


def _entry(field: Field) -> dict[str, Any]:
    acquisition = {} if field.acquisition is None else {"acquisition": field.acquisition}
    return {"path": field.name, **acquisition}


def _ome(path: Path) -> Mapping[str, Any]:
    """OME-Zarr attributes of a local group; empty if there are none that can be read."""
    import zarr
    from zarr.errors import BaseZarrError

    if not is_zarr(path):
        return {}
    try:
        node = zarr.open(str(path), mode="r")
    except (BaseZarrError, OSError, ValueError, KeyError):
        return {}
    attributes = dict(node.attrs)
    found = attributes.get("ome", attributes)
    return found if isinstance(found, Mapping) else {}
