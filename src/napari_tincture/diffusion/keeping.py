"""What a drawing leaves on the disk while it is under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_tincture.diffusion.answers import FORGOTTEN, Answers
from napari_tincture.diffusion.sheets import Sheets


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a drawing's parts are found again.

    Attributes
    ----------
    answers
        What the denoiser answered, for a run after a kill.
    sheets
        Images that are drawn strip by strip.
    """

    answers: Answers = FORGOTTEN
    sheets: Sheets = field(default_factory=Sheets)
