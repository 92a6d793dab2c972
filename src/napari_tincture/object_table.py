"""What was measured of objects: one row per object and plane."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import OutputError


@dataclass(frozen=True, slots=True, eq=False)
class ObjectTable:
    """Figures of objects.

    Attributes
    ----------
    columns : mapping of str to array
        All of one length: ``label`` (the object's number); ``t`` and ``z`` (plane, from 0) where
        the labels have them; ``area`` in `unit` squared; ``centroid_y`` and ``centroid_x`` in
        `unit`; ``top_px``, ``left_px``, ``bottom_px``, ``right_px``, the bounding box in pixels of
        the labels, its end not included; ``equivalent_diameter``, that of a disc of the same area,
        in `unit`; ``eccentricity`` of the ellipse with the same second moments, 0 … 1;
        ``intensity_mean``, ``…_min``, ``…_max`` and ``…_sum`` over the object's pixels, in the
        image's values, with the channel's name behind it where there are several.
    unit : str
        "um" where the labels have a pixel size, else "pixel".
    """

    columns: Mapping[str, npt.NDArray[Any]]
    unit: str

    def __len__(self) -> int:
        return len(self.columns["label"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per object and plane: its columns, and ``unit``."""
        names = list(self.columns)
        values = zip(*(self.columns[name].tolist() for name in names), strict=True)
        return [{**dict(zip(names, row, strict=True)), "unit": self.unit} for row in values]

    def to_dataframe(self) -> Any:
        """The rows as a pandas DataFrame; needs pandas."""
        import pandas

        return pandas.DataFrame({**self.columns, "unit": self.unit})

    def features(self) -> dict[str, npt.NDArray[Any]]:
        """The table as napari's Labels layers take it: ``index`` says which label a row is of.

        Of an object with several rows, linked through planes, napari's status bar shows the last.
        """
        unit = np.full(len(self), self.unit)
        return {"index": self.columns["label"], **self.columns, "unit": unit}

    def save(self, path: str | Path) -> Path:
        """Write the rows as CSV with all digits.

        Raises
        ------
        OutputError
            If the path does not end in ``.csv``, or cannot be written.
        """
        target = Path(path).expanduser().absolute()
        if target.suffix.lower() != ".csv":
            raise OutputError(f"{target} is no table that can be written. End it with .csv.")
        try:
            with target.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [*self.columns, "unit"], lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows)
        except OSError as error:
            raise OutputError(
                f"{target} cannot be written: {error}. Choose another folder, or free some space."
            ) from error
        return target

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-serialisable but for NaN."""
        kinds = {name: values.dtype.str for name, values in self.columns.items()}
        columns = {name: values.tolist() for name, values in self.columns.items()}
        return {"columns": columns, "kinds": kinds, "unit": self.unit}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ObjectTable:
        """Rebuild from `to_json`."""
        kinds = data["kinds"]
        columns = {name: np.array(data["columns"][name], kinds[name]) for name in kinds}
        return cls(columns, data["unit"])
