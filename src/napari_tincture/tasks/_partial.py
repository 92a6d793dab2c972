"""Sums of a comparison kept in a file, so that another process goes on from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.durable import write_json
from napari_tincture.errors import InputError
from napari_tincture.io.identity import differences, signature
from napari_tincture.io.output import writing
from napari_tincture.io.provenance import plain, versions
from napari_tincture.metrics.stream import Survey, Tally
from napari_tincture.raster import Raster
from napari_tincture.tasks._compared import Compared


class PartialSums:
    """The sums of all passes that were begun.

    Parameters
    ----------
    path
        Of the file.
    what
        The comparison: sums of another are refused.
    settings
        What else they rest on, JSON-serialisable.

    Raises
    ------
    InputError
        If the file holds the sums of another comparison, or none.
    """

    def __init__(self, path: Path, what: Compared, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._identity = plain(
            {
                **settings,
                "version": versions()["napari-tincture"],
                "images": {name: signature(image) for name, image in what.named.items()},
                "reference": signature(what.reference),
                "mask": _token(what.mask),
                "regions": _token(what.regions),
            }
        )
        self._passes: list[dict[str, Any]] = []
        if path.exists():
            kept = _read(path)
            if changed := differences(kept["identity"], self._identity):
                raise InputError(
                    f"{path} holds sums of another comparison: {'; '.join(changed)}. Give another "
                    "path, or remove the file."
                )
            self._passes = kept["passes"]

    def of(self, number: int, plan: Survey) -> Tally:
        """What was summed so far in a pass."""
        if number >= len(self._passes):
            return Tally()
        kept = self._passes[number]
        rows = [np.array(row, np.float64) for row in kept["rows"]]
        left_out = {int(image): count for image, count in kept["left_out"].items()}
        return Tally(dict(zip(plan.keys, rows, strict=True)), left_out, kept["done"])

    def keeper(self, number: int, plan: Survey) -> Callable[[Tally], None]:
        """Give what is called with the sums of a pass after every row of areas."""

        def keep(tally: Tally) -> None:
            rows = [tally.rows[key].tolist() for key in plan.keys]
            kept = {"done": tally.done, "left_out": tally.left_out, "rows": rows}
            self._passes[number:] = [kept]
            with writing(self._path):
                write_json(self._path, {"identity": self._identity, "passes": self._passes})

        return keep

    def finish(self) -> None:
        """Remove the file, which has served its purpose."""
        self._path.unlink(missing_ok=True)


def _token(value: Any) -> Any:
    """Tell masks and regions apart, as JSON."""
    from dask.base import tokenize

    if isinstance(value, Raster):
        return signature(value)
    return tokenize(getattr(value, "data", value))


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {"identity": dict(kept["identity"]), "passes": list(kept["passes"])}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no sums of a comparison. Give another path; the file was left as it is."
        ) from error
