"""Statistics of features on disk, as pytorch-fid and others publish them: npz of mu and sigma."""

from __future__ import annotations

import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_tincture.errors import InputError, OutputError
from napari_tincture.metrics.sets.metric import FeatureSet

if TYPE_CHECKING:
    from os import PathLike


def read_statistics(path: str | PathLike[str]) -> FeatureSet:
    """Read mean ``mu`` (d,) and covariance ``sigma`` (d, d), without features.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds something else.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read as npz ({error}); expected arrays 'mu' and 'sigma'."
        ) from error
    missing = [name for name in ("mu", "sigma") if name not in found]
    if missing:
        raise InputError(f"{path} lacks {missing}; it holds {sorted(found)}. Use a file of FID.")
    mean, covariance = (np.asarray(found[name], np.float64) for name in ("mu", "sigma"))
    try:
        return FeatureSet(mean, covariance)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_statistics(path: str | PathLike[str], features: FeatureSet) -> Path:
    """Write ``mu`` and ``sigma`` in float64; a file that is there is replaced when complete.

    Raises
    ------
    OutputError
        If the file cannot be written, or is not named ``.npz``.
    """
    target = Path(path)
    if target.suffix != ".npz":
        raise OutputError(f"Statistics of features are saved as .npz, got {target.name!r}.")
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.npz")
    try:
        np.savez(part, mu=features.mean, sigma=features.covariance)
        part.replace(target)
    except OSError as error:
        raise OutputError(f"Cannot write the statistics to {target}: {error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return target
