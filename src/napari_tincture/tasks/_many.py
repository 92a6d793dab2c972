"""Many pieces of work, one after the other: one that fails stops no other."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_tincture.errors import Cancelled, InputError
from napari_tincture.io.identity import signature
from napari_tincture.io.open import open_image
from napari_tincture.io.provenance import plain
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks.batch_report import (
    BatchFailure,
    BatchProgress,
    BatchReport,
    BatchResult,
    Report,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work.

    Attributes
    ----------
    label
        What a person knows it by.
    path
        Of its result.
    finish
        Makes the result, unless it is there, and tells of its tiles; gives whether it was made.
    """

    label: str
    path: Path
    finish: Callable[[Progress], bool]


def run_all(pieces: Sequence[Piece], report: Report, cancel: CancelToken) -> BatchReport:
    """Do all pieces.

    Raises
    ------
    Cancelled
        If `cancel` was raised.
    """
    done: list[BatchResult] = []
    skipped: list[BatchResult] = []
    failed: list[BatchFailure] = []
    for number, piece in enumerate(pieces):
        step = BatchProgress(number, len(pieces), piece.label)

        def tiles(count: int, total: int, step: BatchProgress = step) -> None:
            report(replace(step, tiles=count, all_tiles=total))

        try:
            cancel.check()
            report(step)
            made = piece.finish(tiles)
        except Cancelled as error:
            error.add_note(f"{number} of {len(pieces)} images were worked on before.")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other images can be done
            _release(error)
            failed.append(BatchFailure(piece.label, error))
        else:
            (done if made else skipped).append(BatchResult(piece.label, piece.path))
    report(BatchProgress(len(pieces), len(pieces), ""))
    return BatchReport(tuple(done), tuple(skipped), tuple(failed))


def check_settings(
    run: Callable[..., Any], name: str, settings: Mapping[str, Any], without: Sequence[str] = ()
) -> None:
    """Refuse arguments that a function has not, or that are not for the caller.

    Raises
    ------
    InputError
        Naming those that it has.
    """
    known = [
        key
        for key, parameter in inspect.signature(run).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key not in without
    ]
    if unknown := sorted(set(settings) - set(known)):
        raise InputError(f"{name} has no settings {unknown}; expected some of {known}.")


def described_setting(value: Any) -> Any:
    """A setting as JSON; images by what tells them apart."""
    if isinstance(value, Mapping):
        return {str(key): described_setting(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [described_setting(each) for each in value]
    if isinstance(value, Raster) or hasattr(value, "shape"):
        return signature(open_image(value))
    return plain(value)


def _release(error: BaseException | None) -> None:
    """Let go of the images that the frames of a kept error hold."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
