"""Stain, segment and compare microscope images of any size with neural networks.

The names below are imported on first use: importing the package loads neither torch nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tincture.errors import (
        Cancelled,
        ConsentError,
        DeviceError,
        InputError,
        ModelError,
        OutputError,
        TinctureError,
        TrainingError,
        WorkerError,
    )
    from napari_tincture.io.open import open_image
    from napari_tincture.models import Model, ModelCard, list_models, load_model
    from napari_tincture.models.library import remove_model, rename_model
    from napari_tincture.placement import Placement
    from napari_tincture.progress import CancelToken
    from napari_tincture.raster import Raster
    from napari_tincture.tasks.assess import assess
    from napari_tincture.tasks.batch import batch
    from napari_tincture.tasks.batch_report import BatchProgress, BatchReport
    from napari_tincture.tasks.benchmark_synthesis import benchmark_synthesis
    from napari_tincture.tasks.calibrate import calibrate
    from napari_tincture.tasks.compare import compare, list_metrics
    from napari_tincture.tasks.compare_samplers import compare_samplers
    from napari_tincture.tasks.comparison import Comparison
    from napari_tincture.tasks.correct import correct
    from napari_tincture.tasks.cycle import cycle_errors, semantic_consistency
    from napari_tincture.tasks.derive_labels import derive_labels
    from napari_tincture.tasks.doctor import Diagnosis, doctor
    from napari_tincture.tasks.download_model import download_model
    from napari_tincture.tasks.enlarge import enlarge
    from napari_tincture.tasks.explain import Explanation, explain
    from napari_tincture.tasks.fidelity import LabelFidelity
    from napari_tincture.tasks.import_checkpoint import import_checkpoint, inspect_checkpoint
    from napari_tincture.tasks.label_fidelity import label_fidelity
    from napari_tincture.tasks.link import link
    from napari_tincture.tasks.make_dataset import make_dataset
    from napari_tincture.tasks.measure_objects import ObjectTable, measure_objects
    from napari_tincture.tasks.packages import export_package, import_package, inspect_package
    from napari_tincture.tasks.process_sheet import process_sheet
    from napari_tincture.tasks.recipe import Recipe
    from napari_tincture.tasks.repaint import repaint
    from napari_tincture.tasks.run import run
    from napari_tincture.tasks.seams import seam_error
    from napari_tincture.tasks.segment import segment
    from napari_tincture.tasks.stain import stain
    from napari_tincture.tasks.synthesis_benchmark import SynthesisBenchmark
    from napari_tincture.tasks.synthesize import synthesize
    from napari_tincture.tasks.train import train
    from napari_tincture.training.correction_set import Corrections

__all__ = [  # noqa: RUF022 - in the order of use
    "open_image",
    "stain",
    "segment",
    "synthesize",
    "repaint",
    "compare_samplers",
    "derive_labels",
    "make_dataset",
    "enlarge",
    "link",
    "measure_objects",
    "batch",
    "run",
    "compare",
    "assess",
    "cycle_errors",
    "semantic_consistency",
    "label_fidelity",
    "benchmark_synthesis",
    "list_metrics",
    "train",
    "correct",
    "explain",
    "calibrate",
    "process_sheet",
    "doctor",
    "BatchReport",
    "BatchProgress",
    "Comparison",
    "Corrections",
    "Diagnosis",
    "Explanation",
    "LabelFidelity",
    "ObjectTable",
    "Recipe",
    "SynthesisBenchmark",
    "Raster",
    "Placement",
    "Model",
    "ModelCard",
    "load_model",
    "list_models",
    "download_model",
    "rename_model",
    "remove_model",
    "import_checkpoint",
    "inspect_checkpoint",
    "import_package",
    "inspect_package",
    "export_package",
    "seam_error",
    "CancelToken",
    "TinctureError",
    "InputError",
    "ModelError",
    "ConsentError",
    "DeviceError",
    "OutputError",
    "TrainingError",
    "WorkerError",
    "Cancelled",
    "__version__",
]

_HOMES = {
    "errors": (
        "TinctureError", "InputError", "ModelError", "ConsentError", "DeviceError", "OutputError",
        "TrainingError", "WorkerError", "Cancelled",
    ),
    "progress": ("CancelToken",),
    "placement": ("Placement",),
    "raster": ("Raster",),
    "io.open": ("open_image",),
    "models": ("Model", "ModelCard", "load_model", "list_models"),
    "models.library": ("rename_model", "remove_model"),
    "tasks.stain": ("stain",),
    "tasks.segment": ("segment",),
    "tasks.synthesize": ("synthesize",),
    "tasks.repaint": ("repaint",),
    "tasks.recipe": ("Recipe",),
    "tasks.run": ("run",),
    "tasks.derive_labels": ("derive_labels",),
    "tasks.make_dataset": ("make_dataset",),
    "tasks.enlarge": ("enlarge",),
    "tasks.link": ("link",),
    "tasks.measure_objects": ("measure_objects", "ObjectTable"),
    "tasks.batch": ("batch",),
    "tasks.batch_report": ("BatchReport", "BatchProgress"),
    "tasks.cycle": ("cycle_errors", "semantic_consistency"),
    "tasks.assess": ("assess",),
    "tasks.label_fidelity": ("label_fidelity",),
    "tasks.fidelity": ("LabelFidelity",),
    "tasks.benchmark_synthesis": ("benchmark_synthesis",),
    "tasks.synthesis_benchmark": ("SynthesisBenchmark",),
    "tasks.compare": ("compare", "list_metrics"),
    "tasks.compare_samplers": ("compare_samplers",),
    "tasks.comparison": ("Comparison",),
    "tasks.train": ("train",),
    "tasks.correct": ("correct",),
    "tasks.doctor": ("doctor", "Diagnosis"),
    "training.correction_set": ("Corrections",),
    "tasks.download_model": ("download_model",),
    "tasks.explain": ("explain", "Explanation"),
    "tasks.calibrate": ("calibrate",),
    "tasks.process_sheet": ("process_sheet",),
    "tasks.import_checkpoint": ("import_checkpoint", "inspect_checkpoint"),
    "tasks.packages": ("import_package", "inspect_package", "export_package"),
    "tasks.seams": ("seam_error",),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-tincture")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
