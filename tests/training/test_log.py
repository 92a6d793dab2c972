from __future__ import annotations

import csv
import sys
import types
from pathlib import Path

import pytest

from napari_tincture.errors import InputError, OutputError
from napari_tincture.training.log import CsvLog, TensorBoardLog


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_per_step_and_columns_as_they_come(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "runs" / "a.log.csv")
    log.resume(0)
    log.write(1, {"lr": 0.1, "loss": 2.0}, {})
    log.write(2, {"lr": 0.1, "loss": 1.5}, {"ssim": 0.5})
    log.write(3, {"lr": 0.1, "loss": 1.0}, {})
    log.close()
    assert rows(log.path) == [
        {"step": "1", "lr": "0.1", "loss": "2.0", "ssim": ""},
        {"step": "2", "lr": "0.1", "loss": "1.5", "ssim": "0.5"},
        {"step": "3", "lr": "0.1", "loss": "1.0", "ssim": ""},
    ]


def test_a_resumed_run_goes_on_where_its_checkpoint_is(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "log.csv")
    log.resume(0)
    for step in range(1, 6):
        log.write(step, {"loss": float(step)}, {})
    log.close()
    with log.path.open("a") as file:
        file.write("6,")  # cut by a kill
    again = CsvLog(log.path)
    again.resume(3)
    again.write(4, {"loss": 40.0}, {})
    again.close()
    assert [row["loss"] for row in rows(log.path)] == ["1.0", "2.0", "3.0", "40.0"]
    again.resume(0)
    assert rows(log.path) == []


def test_rows_may_be_rare_but_every_validation_has_one(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "log.csv", every=3)
    log.resume(0)
    for step in range(1, 9):
        log.write(step, {"loss": 1.0}, {"ssim": 0.5} if step in (2, 5) else {})
    log.close()
    assert [row["step"] for row in rows(log.path)] == ["2", "3", "5", "6"]


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "log.csv")
    log.path.mkdir()
    with pytest.raises(OutputError, match=r"log\.csv.*Make room"):
        log.resume(0)


class Writer:
    """Stands for TensorBoard's."""

    def __init__(self, log_dir: str | None = None, purge_step: int | None = None) -> None:
        self.points: list[tuple[str, float, int]] = []
        self.folder, self.purge, self.closed = log_dir, purge_step, False
        made.append(self)

    def add_scalar(self, tag: str, value: float, global_step: int) -> None:
        self.points.append((tag, value, global_step))

    def close(self) -> None:
        self.closed = True


made: list[Writer] = []


def test_tensorboard_gets_the_same_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    made.clear()
    log = TensorBoardLog(tmp_path)
    log.resume(4)
    log.write(5, {"loss": 1.0}, {"ssim": 0.5})
    log.close()
    (writer,) = made
    assert (writer.folder, writer.purge, writer.closed) == (str(tmp_path), 5, True)
    assert writer.points == [("loss", 1.0, 5), ("ssim", 0.5, 5)]


def test_missing_tensorboard_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"napari-tincture\[tensorboard\]"):
        TensorBoardLog(tmp_path)
