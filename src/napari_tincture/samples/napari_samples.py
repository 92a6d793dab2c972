"""The sample images as napari's File › Open Sample wants them: lists of layers."""

from __future__ import annotations

from typing import Any

from napari_tincture import samples
from napari_tincture.raster import LayerData, Raster

MOSAIC = 8192
"""Side of the mosaic, in pixels."""


def neurons() -> list[LayerData]:
    """Neurons: 7 planes of phase contrast, and DAPI of the same place on top, hidden."""
    return [_layer(samples.neuron_phase()), _layer(samples.neuron_dapi(), visible=False)]


def neuron_mosaic() -> list[LayerData]:
    """A large virtual image: the phase contrast planes repeated by mirroring."""
    return [_layer(samples.mosaic(MOSAIC))]


def nuclei() -> list[LayerData]:
    """Fluorescent nuclei with their hand-drawn labels, hidden."""
    return [_layer(samples.nuclei()), _layer(samples.nuclei_labels(), visible=False)]


def nuclei_large() -> list[LayerData]:
    """Fluorescent nuclei at a higher magnification with their labels, hidden."""
    return [_layer(samples.nuclei(2)), _layer(samples.nuclei_labels(2), visible=False)]


def blood_smear() -> list[LayerData]:
    """A stained blood smear in colour."""
    return [_layer(samples.blood_smear())]


def unstained_blood() -> list[LayerData]:
    """Blood without label."""
    return [_layer(samples.unstained_blood())]


def tissue_map() -> list[LayerData]:
    """A label map to synthesize an electron micrograph of."""
    return [_layer(samples.tissue_map())]


def nuclei_map() -> list[LayerData]:
    """A label map to synthesize stained tissue of."""
    return [_layer(samples.nuclei_map(1))]


def _layer(raster: Raster, **options: Any) -> LayerData:
    data, own, kind = raster.to_layer()
    own["metadata"] |= dict(raster.provenance)
    return data, {**own, **options}, kind
