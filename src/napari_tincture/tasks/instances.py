"""The instance step, where tasks look for it."""

from __future__ import annotations

from napari_tincture.instances import label_instances

__all__ = ["label_instances"]
