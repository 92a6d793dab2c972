"""SSIM as Wang et al. defined it."""

from napari_tincture.metrics.windows import StructuralSimilarity, Window

METRIC = StructuralSimilarity("ssim_gaussian", Window("gaussian"), parts=1)
"""Gaussian windows of sigma 1.5 over 11 × 11 pixels, population covariance."""
