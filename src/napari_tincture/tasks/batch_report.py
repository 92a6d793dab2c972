"""How far a batch is, and what became of its images: a table, or an error that names failures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_tincture.errors import TinctureError


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is.

    Attributes
    ----------
    done, images
        Images that are finished, skipped or failed; and all.
    image
        The one under way; empty at the end.
    tiles, all_tiles
        Of that image; both 0 until they are counted.
    """

    done: int
    images: int
    image: str
    tiles: int = 0
    all_tiles: int = 0


Report = Callable[[BatchProgress], None]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """An image whose result is there.

    Attributes
    ----------
    image
        Its path or name.
    path
        Of the result.
    """

    image: str
    path: Path


@dataclass(frozen=True, slots=True)
class BatchFailure:
    """An image without a result.

    Attributes
    ----------
    image
        Its path or name.
    error
        Why, with its traceback.
    """

    image: str
    error: Exception

    @property
    def reason(self) -> str:
        """The error in one paragraph; its class where it is none of this package's."""
        text = " ".join(str(self.error).split())
        if isinstance(self.error, TinctureError) and text:
            return text
        return f"{type(self.error).__name__}: {text}"


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of the images of a batch; prints as a table.

    Attributes
    ----------
    done
        Computed now.
    skipped
        Finished before, from the same image by the same model and settings.
    failed
        The others, with the reason each.
    """

    done: tuple[BatchResult, ...]
    skipped: tuple[BatchResult, ...]
    failed: tuple[BatchFailure, ...]

    def __str__(self) -> str:
        rows = [("done", each.image, str(each.path)) for each in self.done]
        rows += [("skipped", each.image, str(each.path)) for each in self.skipped]
        rows += [("failed", each.image, each.reason) for each in self.failed]
        wide = max((len(image) for _, image, _ in rows), default=0)
        lines = [f"{outcome:7}  {image:{wide}}  {text}" for outcome, image, text in rows]
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """How many, in one line."""
        counts = {"done": self.done, "skipped": self.skipped, "failed": self.failed}
        parts = [f"{len(found)} {name}" for name, found in counts.items() if found]
        return f"{', '.join(parts) or 'nothing to do'}."

    def raise_for_failures(self) -> None:
        """Raise if an image failed.

        Raises
        ------
        TinctureError
            Naming each failed image and its reason; caused by the group of their errors.
        """
        if not self.failed:
            return
        total = len(self.done) + len(self.skipped) + len(self.failed)
        reasons = "\n".join(f"{each.image}: {each.reason}" for each in self.failed)
        raise TinctureError(
            f"{len(self.failed)} of {total} images failed, the others are complete. Mend them and "
            f"run the batch again; it skips what is there.\n{reasons}"
        ) from ExceptionGroup("failed images", [each.error for each in self.failed])


def as_report(progress: bool | Report | None) -> Report:
    """Turn the `progress=` argument of a batch into a callback."""
    if progress is True:
        return _Bar()
    return progress or (lambda _: None)


class _Bar:
    """Lines on standard error, each overwritten until its image is finished."""

    def __call__(self, step: BatchProgress) -> None:
        if step.done == step.images:
            print(f"\r{step.images} of {step.images} images", file=sys.stderr)
            return
        where = f"{step.done + 1}/{step.images} {step.image}"
        print(f"\r{where}: {step.tiles}/{step.all_tiles} tiles ", end="", file=sys.stderr)
