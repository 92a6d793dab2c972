"""How close a set of images is to another: one metric per file, on features of a network."""

from napari_tincture.metrics.sets.bootstrap import Interval, kid_interval
from napari_tincture.metrics.sets.features import Features
from napari_tincture.metrics.sets.learned import LearnedFeatures
from napari_tincture.metrics.sets.metric import FeatureSet, SetMetric
from napari_tincture.metrics.sets.network import InceptionFeatures
from napari_tincture.metrics.sets.patching import patches
from napari_tincture.metrics.sets.registry import find_set_metric, set_metric_names
from napari_tincture.metrics.sets.statistics import read_statistics, write_statistics

__all__ = [
    "FeatureSet",
    "Features",
    "InceptionFeatures",
    "Interval",
    "LearnedFeatures",
    "SetMetric",
    "find_set_metric",
    "kid_interval",
    "patches",
    "read_statistics",
    "set_metric_names",
    "write_statistics",
]
