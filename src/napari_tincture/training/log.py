"""Where the losses, learning rates and validation figures of a training are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from napari_tincture.durable import write_file
from napari_tincture.errors import InputError, OutputError


class Log(Protocol):
    """What a training writes to; a resumed one goes on where its checkpoint is."""

    def resume(self, step: int) -> None:
        """Begin, without what was written after so many steps."""

    def write(self, step: int, values: Mapping[str, float], figures: Mapping[str, float]) -> None:
        """Note losses and learning rates by name, and what validation gave if there was one."""

    def close(self) -> None:
        """End; `resume` may follow."""


Note = Callable[[int, Mapping[str, float], Mapping[str, float]], None]
"""Writes the values and figures of a step to several logs."""


@contextmanager
def writing(logs: Sequence[Log], step: int) -> Iterator[Note]:
    """Begin logs after so many steps, and end them; what happens in between is noted in all."""
    with ExitStack() as stack:
        for log in logs:
            log.resume(step)
            stack.callback(log.close)

        def note(step: int, values: Mapping[str, float], figures: Mapping[str, float]) -> None:
            for log in logs:
                log.write(step, values, figures)

        yield note


class CsvLog:
    """A table with a row per step and a column per value, read by any spreadsheet.

    Parameters
    ----------
    every
        Rows are written every so many steps, and at every validation.
    """

    def __init__(self, path: Path, every: int = 1) -> None:
        self.path, self.every = path, every
        self._columns: list[str] = []
        self._file: IO[str] | None = None

    def resume(self, step: int) -> None:
        """Begin, without the rows after so many steps."""
        kept = [row for row in self._read() if int(row["step"]) <= step]
        self._columns = list(kept[0]) if kept else []
        self._rewrite(kept)

    def write(self, step: int, values: Mapping[str, float], figures: Mapping[str, float]) -> None:
        """Append a row."""
        if step % self.every and not figures:
            return
        row = {"step": step, **values, **figures}
        new = [name for name in row if name not in self._columns]
        if new:
            rows = self._read()
            self._columns += new
            self._rewrite(rows)
        self._append(row)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> list[dict[str, str]]:
        self.close()
        return read_rows(self.path)

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        if self._columns:
            writer.writeheader()
        writer.writerows(rows)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.path, lambda file: file.write(text.getvalue().encode()))
        except OSError as error:
            raise self._failure(error) from error

    def _append(self, row: Mapping[str, Any]) -> None:
        try:
            if self._file is None:
                self._file = self.path.open("a", encoding="utf-8", newline="")
            csv.DictWriter(self._file, self._columns, lineterminator="\n").writerow(row)
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(
            f"Cannot write the log {self.path}: {error}. The last checkpoint is kept. "
            "Make room, or close the program that holds the file, and start again to go on."
        )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a `CsvLog`'s table, by the names of its columns; none if there is no table."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    # A kill or a power failure may have cut the last line.
    whole = text[: text.rfind("\n") + 1]
    return list(csv.DictReader(io.StringIO(whole)))


class TensorBoardLog:
    """Curves for TensorBoard.

    Raises
    ------
    InputError
        TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "Logging for TensorBoard needs it installed: "
                "pip install 'napari-tincture[tensorboard]'. Or log as CSV."
            ) from error
        self.folder, self._make = folder, SummaryWriter
        self._writer: Any = None

    def resume(self, step: int) -> None:
        """Begin; TensorBoard hides what was written after so many steps."""
        self._writer = self._make(str(self.folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float], figures: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in {**values, **figures}.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
