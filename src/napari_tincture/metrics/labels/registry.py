"""Which metrics of labels there are: one file of this package each, found by its name."""

from __future__ import annotations

from napari_tincture.by_name import find_metric_file, own_modules
from napari_tincture.metrics.labels.metric import LabelMetric

_MACHINERY = frozenset(
    {
        "averages", "confusion", "contours", "counts", "distances", "matches", "membranes",
        "metric", "overlap", "partitions", "planes", "registry", "simple_points", "stained",
        "stream", "topology", "widths",
    }
)  # fmt: skip


def label_metric_names() -> tuple[str, ...]:
    """Names of all metrics of labels, sorted; imports none of them."""
    return tuple(sorted(own_modules(__package__ or "", _MACHINERY)))


def find_label_metric(name: str) -> LabelMetric:
    """Make the metric of a name.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    metric: LabelMetric = find_metric_file(__package__ or "", _MACHINERY, name, "metric of labels")
    return metric
