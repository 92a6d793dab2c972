"""What each shipped model takes and gives, as the pictures of its page: on the shipped samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari_tincture as nt
from napari_tincture import samples

CORNER = {"y": slice(0, 320), "x": slice(704, 1024)}
"""Of the neurons: columns that no model has learned from."""
BLOOD = {"y": slice(0, 320), "x": slice(0, 420)}


def draw_models(draw: Callable[[str, Any], None]) -> None:
    """Draw one picture per model for which there is a sample."""
    for name, make in MODELS.items():
        draw(f"models/{name}.png", make())


def _phase_to_dapi() -> Any:
    phase = samples.neuron_phase().crop(CORNER)
    stained = nt.stain(phase, "phase-to-dapi")
    return (phase, *(stained.plane(c=index) for index in range(3)))


def _nuclei() -> Any:
    image = samples.nuclei(2)
    return image, [image, nt.segment(image, "nuclei")]


def _blood() -> Any:
    image = samples.unstained_blood().crop(BLOOD)
    found = nt.stain(image, "unstained-to-wright-giemsa", outputs=("image", "cycle_error"))
    return image, found["image"], found["cycle_error"]


def _em_tissue() -> Any:
    label_map = samples.tissue_map(256, seed=3)
    return label_map, nt.synthesize(label_map, "em-tissue", seed=1)


def _em_membranes() -> Any:
    """On a synthetic micrograph: no real one is shipped."""
    _, image = _em_tissue()
    return image, nt.segment(image, "em-membranes", output="classes")


MODELS: dict[str, Callable[[], Any]] = {
    "phase-to-dapi": _phase_to_dapi,
    "nuclei": _nuclei,
    "unstained-to-wright-giemsa": _blood,
    "em-tissue": _em_tissue,
    "em-membranes": _em_membranes,
}
