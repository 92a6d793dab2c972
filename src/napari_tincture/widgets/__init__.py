"""Dock widgets for napari, one per file; the only part of the package that knows Qt and napari."""
