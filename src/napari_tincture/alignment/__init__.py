"""How far two images of the same place are apart, and putting one where the other is."""

from napari_tincture.alignment.align import Aligned, align
from napari_tincture.alignment.estimate import estimate
from napari_tincture.alignment.misalignment import Likeness, Misalignment

__all__ = ["Aligned", "Likeness", "Misalignment", "align", "estimate"]
