"""Which metrics there are: one file of this package each, found by its name."""

from __future__ import annotations

from napari_tincture.by_name import find_metric_file, own_modules
from napari_tincture.metrics.metric import Metric

_MACHINERY = frozenset(
    {
        "drift_map", "labels", "metric", "registry", "seams", "sets", "stain_vectors", "stream",
        "sums", "windows",
    }
)  # fmt: skip


def metric_names() -> tuple[str, ...]:
    """Names of all metrics, sorted; imports none of them."""
    return tuple(sorted(own_modules(__package__ or "", _MACHINERY)))


def find_metric(name: str) -> Metric:
    """Make the metric of a name.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    metric: Metric = find_metric_file(__package__ or "", _MACHINERY, name, "metric")
    return metric


def usable_metric(name: str) -> Metric:
    """Make the metric of a name, if the weights that it needs are there.

    Raises
    ------
    InputError
        If there is no such metric, or it needs weights of the user that are not there.
    """
    metric = find_metric(name)
    if metric.needs is not None:
        metric.needs.path()
    return metric
