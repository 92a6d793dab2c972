"""The reference of the public names, found in ``napari_tincture.__all__`` and put by topic."""

from __future__ import annotations

from collections.abc import Iterable

import napari_tincture
from napari_tincture import samples

TOPICS: dict[str, tuple[str, ...]] = {
    "Images": ("open_image", "Raster", "Placement"),
    "Staining": ("stain", "correct", "Corrections", "calibrate", "process_sheet", "seam_error"),
    "Segmentation": ("segment", "link", "measure_objects", "ObjectTable"),
    "Synthesis": (
        "synthesize", "repaint", "enlarge", "compare_samplers", "derive_labels", "make_dataset",
        "label_fidelity", "LabelFidelity", "benchmark_synthesis", "SynthesisBenchmark",
    ),
    "Comparison": (
        "compare", "Comparison", "assess", "cycle_errors", "semantic_consistency", "list_metrics",
    ),
    "Models": (
        "Model", "ModelCard", "load_model", "list_models", "import_checkpoint",
        "inspect_checkpoint", "import_package", "inspect_package", "export_package",
    ),
    "Training": ("train",),
    "Running": (
        "run", "Recipe", "batch", "BatchReport", "BatchProgress", "explain", "Explanation",
        "CancelToken", "doctor", "Diagnosis",
    ),
}  # fmt: skip
"""Names are shown in this order; those that no topic lists come last, so that none is missing."""
FURTHER = "Further"
ERRORS = "Errors"
BESIDE = {
    "Samples": ("napari_tincture.samples", tuple(samples.__all__)),
    "Recipes of trainings": ("napari_tincture.training.presets", ("preset",)),
    "Alignment": ("napari_tincture.alignment", ("estimate", "align", "Misalignment", "Aligned")),
    "Objects of maps": ("napari_tincture.instances", ("label_instances",)),
}
"""What the pages use beside the names of the package itself: module and names."""


def write_api() -> dict[str, str]:
    """The page that lists all names; autosummary makes a page of each."""
    parts = ["# Python", "Everything here is imported with `import napari_tincture as nt`."]
    for topic, names in by_topic().items():
        parts.append(_table(topic, [f"napari_tincture.{name}" for name in names]))
    parts.append("## Beside the package itself\n\nThese are imported from where their names say.")
    for topic, (module, others) in BESIDE.items():
        parts.append(_table(topic, [f"{module}.{name}" for name in others], "###"))
    return {"api/index.md": "\n\n".join(parts) + "\n"}


def by_topic() -> dict[str, list[str]]:
    """All public names, by the topic under which they are shown."""
    public = [name for name in napari_tincture.__all__ if name != "__version__"]
    found = {topic: [name for name in names if name in public] for topic, names in TOPICS.items()}
    listed = {name for group in found.values() for name in group}
    rest = [name for name in public if name not in listed]
    errors = [name for name in rest if _is_error(name)]
    return {
        **found,
        FURTHER: [name for name in rest if name not in errors],
        ERRORS: errors,
    }


def missing_names(described: Iterable[str]) -> list[str]:
    """Public names that a build has not described."""
    known = set(described)
    names = [name for name in napari_tincture.__all__ if name != "__version__"]
    return [name for name in names if f"napari_tincture.{name}" not in known]


def _is_error(name: str) -> bool:
    value = getattr(napari_tincture, name)
    return isinstance(value, type) and issubclass(value, Exception)


def _table(topic: str, names: list[str], level: str = "##") -> str:
    if not names:
        return ""
    rows = "\n".join(f"   {name}" for name in names)
    lines = f".. autosummary::\n   :toctree: .\n   :nosignatures:\n\n{rows}"
    return f"{level} {topic}\n\n```{{eval-rst}}\n{lines}\n```"
