"""What a comparison found: a table, what it rests on, and maps; as text and as files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_tincture.errors import OutputError
from napari_tincture.metrics.labels.averages import average
from napari_tincture.raster import Raster
from napari_tincture.tasks._boxes import Box

PLACES = ("image", "t", "z", "channel", "region")
"""Columns that say what a row is of; all others are figures."""
_LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of several images against one reference.

    Attributes
    ----------
    table
        One dict per image, plane, channel and region: ``image``; ``t``, ``z``, ``channel`` and
        ``region`` where there are several; then one figure per column of a metric. t and z count
        as in the whole reference. A figure that the images do not have is NaN; `notes` say why.
    settings
        What the figures rest on, JSON-serialisable: data range, channels, region, mask, and how
        each image was brought onto the reference's grid.
    notes
        What a reader of the table must know: undefined figures, pixels left out, interpolation.
    maps
        By image and column, where they were asked for, on the reference's grid.
    better
        By column, "higher" or "lower".
    regions
        By name, the bounding box ((y start, y stop), (x start, x stop)) in pixels of the whole
        reference; of regions that lie elsewhere in other planes, of all of them.
    places
        The same by name, and t and z of the rows, where there are several.
    undefined
        By number of the row and column, why there is no figure.
    images, reference
        What was compared, by name.
    """

    table: list[dict[str, Any]]
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    maps: Mapping[tuple[str, str], Raster] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, Box] = field(default_factory=dict, repr=False)
    places: Mapping[tuple[str | int, ...], Box] = field(default_factory=dict, repr=False)
    undefined: Mapping[tuple[int, str], str] = field(default_factory=dict, repr=False)
    images: Mapping[str, Raster] = field(default_factory=dict, repr=False)
    reference: Raster | None = field(default=None, repr=False)

    def box_of(self, row: Mapping[str, Any]) -> Box | None:
        """Where the region of a row lies in its plane, as in `regions`; None without region."""
        if "region" not in row:
            return None
        return self.places.get((row["region"], *(row[axis] for axis in "tz" if axis in row)))

    @property
    def columns(self) -> list[str]:
        """All columns of the table, in order."""
        found = dict.fromkeys(name for row in self.table for name in row)
        return sorted(found, key=lambda name: name not in PLACES)

    @property
    def figures(self) -> list[str]:
        """Columns that hold figures."""
        return [name for name in self.columns if name not in PLACES]

    @property
    def best(self) -> frozenset[tuple[int, str]]:
        """Number of the row and column of the best figures among the images of each place.

        A place is a plane, channel and region; those with a single image have no best.
        """
        places: dict[tuple[Any, ...], list[int]] = {}
        for number, row in enumerate(self.table):
            if row["image"] in self.images:
                place = tuple(row.get(name) for name in PLACES if name != "image")
                places.setdefault(place, []).append(number)
        found = set()
        for rows in places.values():
            for column, better in self.better.items():
                known = [
                    (self.table[i][column], i)
                    for i in rows
                    if not math.isnan(self.table[i].get(column, math.nan))
                ]
                if len(known) > 1:
                    wanted = (max if better == "higher" else min)(known)[0]
                    found |= {(i, column) for value, i in known if value == wanted}
        return frozenset(found)

    def summary(self, by: str | None = "image") -> list[dict[str, Any]]:
        """Mean and sample standard deviation of each figure over the rows that share a column.

        Parameters
        ----------
        by
            A column such as "image" or "channel". None: one line over all rows, such as those of
            several pairs of images that were joined.

        Returns
        -------
        list of dict
            ``by`` (unless None), ``rows``, and per figure ``…`` (mean) and ``… sd``; figures that
            are undefined or infinite are left out.
        """
        result = []
        groups: dict[Any, list[dict[str, Any]]] = {}
        for row in self.table:
            groups.setdefault(None if by is None else row.get(by), []).append(row)
        for name, rows in groups.items():
            line: dict[str, Any] = {**({} if by is None else {by: name}), "rows": len(rows)}
            for figure in self.figures:
                line[figure], line[f"{figure} sd"], _ = average(row.get(figure) for row in rows)
            result.append(line)
        return result

    def agreement(self, found: str = "found", expected: str = "expected") -> list[dict[str, Any]]:
        """How well numbers of the images agree with the reference's, over regions and planes.

        Parameters
        ----------
        found, expected
            Columns: numbers of objects, or ``stained_found`` and ``stained_expected``.

        Returns
        -------
        list of dict
            Per image ``image``, ``rows``, ``difference`` (mean of found - expected) and
            ``deviation`` (of it), ``low`` and ``high`` (95 % limits of agreement, Bland & Altman,
            Lancet 1986), ``concordance`` (Lin, Biometrics 1989); NaN with less than two rows.

        Raises
        ------
        InputError
            If the table has no such columns.
        """
        from napari_tincture.tasks._agreement import agreement_of

        return agreement_of(self, found, expected)

    @classmethod
    def join(cls, parts: Sequence[Comparison]) -> Comparison:
        """One table of several comparisons, as of several pairs of images.

        Raises
        ------
        InputError
            If there are none.
        """
        from napari_tincture.tasks._agreement import joined

        return joined(parts)

    def to_dataframe(self) -> Any:
        """The table as a pandas DataFrame; needs pandas."""
        import pandas

        return pandas.DataFrame(self.table, columns=self.columns)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as CSV with all digits; also written to a file, if a path is given."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.table)
        return _written(text.getvalue(), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """The table as Markdown; also written to a file, if a path is given."""
        lines = [self.columns, ["---"] * len(self.columns), *self._cells()]
        text = "\n".join(
            "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
        )
        return _written(text + "\n", path)

    def to_latex(self, path: str | Path | None = None) -> str:
        """The table as a LaTeX tabular with booktabs rules; also written, if a path is given."""
        kinds = "".join("l" if name in PLACES else "r" for name in self.columns)
        head, *rows = (
            " & ".join(cell.translate(_LATEX) for cell in line) + r" \\"
            for line in [self.columns, *self._cells()]
        )
        lines = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule", *rows]
        return _written("\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n", path)

    def report(self, path: str | Path) -> Path:
        """Write everything to one file that needs no other, ``.html`` or ``.pdf``.

        Table, notes, pictures of images and maps, settings, versions, and how the images were
        made with models and licences. A PDF needs matplotlib.

        Raises
        ------
        OutputError
            If the name ends otherwise, or the file cannot be written.
        """
        from napari_tincture.tasks.report import write_report

        return write_report(self, path)

    def __str__(self) -> str:
        lines = [self.columns, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*text, *(f"* {note}" for note in self.notes)])

    def _cells(self) -> Iterator[list[str]]:
        return ([cell_text(row.get(name)) for name in self.columns] for row in self.table)


def cell_text(value: Any) -> str:
    """A value of the table as people read it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        target = Path(path).expanduser()
        try:
            target.write_text(text, "utf-8")
        except OSError as error:
            raise OutputError(
                f"{target} cannot be written: {error.strerror or error}. Choose another place."
            ) from error
    return text


def names_of(images: Sequence[Raster]) -> list[str]:
    """A name for every image that no other has."""
    names: list[str] = []
    for number, image in enumerate(images, start=1):
        names.append(unlike(image.name or f"image {number}", names))
    return names


def unlike(base: str, taken: Sequence[str]) -> str:
    """A name that is not taken."""
    name, copy = base, 2
    while name in taken:
        name, copy = f"{base} [{copy}]", copy + 1
    return name
