"""Which metrics of sets there are: one file of this package each, found by its name."""

from __future__ import annotations

import importlib

from napari_tincture.by_name import own_modules
from napari_tincture.errors import InputError
from napari_tincture.metrics.sets.metric import SetMetric

_MACHINERY = frozenset({"features", "metric", "network", "patching", "registry", "statistics"})


def set_metric_names() -> tuple[str, ...]:
    """Names of all metrics of sets, sorted; imports none of them."""
    return tuple(sorted(own_modules(__package__ or "", _MACHINERY)))


def find_set_metric(name: str) -> SetMetric:
    """Make the metric of a name.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    if name not in set_metric_names():
        known = ", ".join(set_metric_names())
        raise InputError(f"Unknown metric of sets of images {name!r}; known are {known}.")
    metric: SetMetric = importlib.import_module(f"{__package__}.{name}").METRIC
    return metric
