"""Which metrics of sets there are: one file of this package each, found by its name."""

from __future__ import annotations

from napari_tincture.by_name import find_metric_file, own_modules
from napari_tincture.metrics.sets.metric import SetMetric

_MACHINERY = frozenset(
    {
        "bootstrap", "features", "learned", "metric", "network", "patching", "registry",
        "statistics",
    }
)  # fmt: skip


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
    metric: SetMetric = find_metric_file(
        __package__ or "", _MACHINERY, name, "metric of sets of images"
    )
    return metric
