"""Sample images that the package ships; sources and licences are in ``data/README.md``.

No pixel size is known for certain, so all are in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.deriving.touching import object_classes
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster, SourceRef
from napari_tincture.samples.mirror import mirrored
from napari_tincture.samples.tissue import tissue_labels

__all__ = [
    "available", "blood_smear", "load", "mosaic", "neuron_dapi", "neuron_phase", "nuclei",
    "nuclei_labels", "nuclei_map", "tissue_map", "unstained_blood",
]  # fmt: skip

DATA = Path(__file__).parent / "data"

_NEURONS = {
    "source": "google/in-silico-labeling, test data; Christiansen et al., Cell 173 (2018) 792-803",
    "licence": "CC BY 4.0",
}
_NUCLEI = {
    "source": "Data Science Bowl 2018, BBBC038; Caicedo et al., Nature Methods 16 (2019) 1247-1253",
    "licence": "CC0",
}
_SMEAR = {"source": "BCCD data set, image 98 (Shenggan and contributors)", "licence": "MIT"}
_UNSTAINED = {"source": "Chan Zuckerberg Biohub (2023)", "licence": "BSD-3-Clause"}

_MADE_UP = {"source": "made up by napari-tincture", "licence": "CC0"}

_NUCLEI_FILES = ("e52960d31f8bddf8", "f728de04267283f0", "d4d88391bc399a37")


def neuron_phase() -> Raster:
    """Human neurons in phase contrast: 7 focal planes, zyx, 7 × 1024 × 1024, uint8.

    Columns from 768 were never used in training the models of this package. The names of the
    planes are in ``display["planes"]``.
    """
    import dask.array as da

    paths = sorted((DATA / "neuron").glob("phase_z*.png"))
    planes = [path.stem.removeprefix("phase_") for path in paths]
    stack = da.stack([open_image(path).data for path in paths])
    raster = Raster.from_array(stack, "zyx", display={"planes": planes})
    return _sample(raster, "neuron_phase", "neurons, phase contrast", _NEURONS)


def neuron_dapi() -> Raster:
    """Nuclei of the neurons of `neuron_phase`, DAPI: yx, 1024 × 1024, uint16."""
    raster = replace(
        open_image(DATA / "neuron" / "dapi.png", channels=["DAPI"]),
        display={"limits": [[13_775.0, 65_535.0]]},
    )
    return _sample(raster, "neuron_dapi", "neurons, DAPI", _NEURONS)


def nuclei(index: int = 0) -> Raster:
    """Fluorescent nuclei: yx, uint8; 520 × 696, 512 × 640 or 360 × 360 for `index` 0, 1, 2.

    None was used in training the models of this package.
    """
    raster = open_image(DATA / "nuclei" / f"{_nuclei_file(index)}.png")
    limit = {0: 101.0, 1: 115.0, 2: 37.0}[index]
    raster = replace(raster, display={"limits": [[0.0, limit]]})
    return _sample(raster, "nuclei", f"nuclei {index}", _NUCLEI, index=index)


def nuclei_labels(index: int = 0) -> Raster:
    """Hand-drawn labels of `nuclei`: yx, uint8; 130, 54 or 23 of them."""
    raster = open_image(DATA / "nuclei" / f"{_nuclei_file(index)}_labels.png")
    raster = replace(raster, kind="labels")
    return _sample(raster, "nuclei_labels", f"nuclei {index}, by hand", _NUCLEI, index=index)


def nuclei_map(index: int = 0) -> Raster:
    """The labels of `nuclei` as classes: yx, uint8, 0 tissue, 1 nucleus, 2 border between nuclei.

    The values are the classes of the model "nuclei-tissue", which makes stained tissue of it.
    """
    labels = nuclei_labels(index)
    classes = object_classes(np.asarray(labels))
    raster = Raster.from_array(classes, "yx", kind="labels")
    return _sample(raster, "nuclei_map", f"nuclei {index}, classes", _NUCLEI, index=index)


def blood_smear() -> Raster:
    """Wright-Giemsa stained blood smear: colour, cyx, 3 × 480 × 640, uint8."""
    raster = open_image(DATA / "blood" / "smear.jpg")
    return _sample(raster, "blood_smear", "blood smear", _SMEAR)


def unstained_blood() -> Raster:
    """Blood without label: yx, 772 × 1032, uint8."""
    raster = open_image(DATA / "blood" / "unstained.png")
    return _sample(raster, "unstained_blood", "blood, unstained", _UNSTAINED)


def tissue_map(size: int = 512, seed: int = 0) -> Raster:
    """A label map as of neural tissue, made up: yx, size × size, uint8, 0 to 5.

    The values are the classes of the model "em-tissue", which makes an electron micrograph of it.

    Raises
    ------
    InputError
        If the size is not positive.
    """
    found = tissue_labels(size, seed)
    raster = Raster.from_array(found, "yx", kind="labels")
    return _sample(raster, "tissue_map", f"tissue {seed}", _MADE_UP, size=size, seed=seed)


def mosaic(size: int, of: str = "neuron_phase") -> Raster:
    """Repeat a sample by mirroring to a square of any side, without storing it.

    Parameters
    ----------
    size : int
        Side in pixels, such as 16384.
    of : str
        Name of the sample; ``neuron_dapi`` gives the fluorescence of the same places.

    Returns
    -------
    Raster
        With the axes of the sample, pyramid levels, and blocks that are made when read.

    Raises
    ------
    InputError
        If the size is not positive, or the sample unknown.
    """
    if size < 1:
        raise InputError(f"A mosaic of side {size} cannot be made; give at least 1 pixel.")
    base = load(of)
    source = SourceRef("sample", "mosaic", {"size": size, "of": of})
    return replace(mirrored(base, size), name=f"{base.name}, mosaic", source=source)


_SAMPLES: dict[str, Callable[..., Raster]] = {
    "neuron_phase": neuron_phase, "neuron_dapi": neuron_dapi, "nuclei": nuclei,
    "nuclei_labels": nuclei_labels, "nuclei_map": nuclei_map, "blood_smear": blood_smear,
    "unstained_blood": unstained_blood, "tissue_map": tissue_map, "mosaic": mosaic,
}  # fmt: skip


def available() -> tuple[str, ...]:
    """List the names that `load` takes."""
    return tuple(_SAMPLES)


def load(name: str, **options: Any) -> Raster:
    """Give a sample by its name.

    Raises
    ------
    InputError
        If there is no such sample.
    """
    if name not in _SAMPLES:
        raise InputError(f"There is no sample {name!r}; choose one of {', '.join(_SAMPLES)}.")
    return _SAMPLES[name](**options)


def _sample(
    raster: Raster, key: str, name: str, provenance: dict[str, str], **options: Any
) -> Raster:
    source = SourceRef("sample", key, options)
    return replace(raster, name=name, provenance=dict(provenance), source=source)


def _nuclei_file(index: int) -> str:
    if index not in range(len(_NUCLEI_FILES)):
        raise InputError(f"There is no nuclei sample {index}; choose 0, 1 or 2.")
    return _NUCLEI_FILES[index]
