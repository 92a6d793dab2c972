"""SSIM as scikit-image computes it by default."""

from napari_tincture.metrics.windows import StructuralSimilarity, Window

METRIC = StructuralSimilarity("ssim", Window("uniform"), parts=4)
"""Uniform 7 × 7 windows, sample covariance; and its three factors."""
