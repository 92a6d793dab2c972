"""How much memory drawing a plane takes, and what of it is on the disk; without torch."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from napari_tincture.errors import InputError

COPIES = 8
"""Copies of what is drawn at once, in float32, that a sampler needs at most."""
OF_MAP = 4
"""Bytes per pixel that a label map takes, with what is found of it."""
OF_SMALLER = 4 / 3
"""With the smaller drawings that a drawing begins with, there are so many times as many pixels."""
OF_FREE = 0.6
"""What part of the free memory a plane may fill; the network takes of the rest."""
GIB = 2**30


@dataclass(frozen=True, slots=True)
class DrawingMemory:
    """What a plane takes.

    Attributes
    ----------
    height, width
        Of the plane, in pixels.
    channels
        Of the image.
    window
        Side of the denoiser's windows.
    steps
        How often the sampler asks, which is how many windows high the front is that moves down a
        plane drawn strip by strip.
    local
        Whether it can be drawn so.
    shown
        Bytes per pixel of what the plane shows.
    """

    height: int
    width: int
    channels: int
    window: int
    steps: int
    local: bool = True
    shown: int = OF_MAP

    @property
    def at_once(self) -> int:
        """Bytes of memory for all of it."""
        return self.height * self.width * (self.channels * 4 * COPIES + self.shown)

    @property
    def in_strips(self) -> int:
        """Bytes of memory strip by strip."""
        front = min(self.height, (self.steps + 2) * self.window) * self.width
        return front * self.channels * 4 * COPIES + self.height * self.width * self.shown

    @property
    def on_disk(self) -> int:
        """Bytes of the disk, of a plane that is drawn strip by strip."""
        return int(self.height * self.width * self.channels * 4 * OF_SMALLER)

    def check(self, free: int, scratch: Path) -> bool:
        """Whether it is to be drawn strip by strip.

        Parameters
        ----------
        free
            Bytes of memory.
        scratch
            A folder on the disk that would be used.

        Raises
        ------
        InputError
            If memory or disk do not suffice either way.
        """
        if self.at_once <= free:
            return False
        least = self.in_strips if self.local else self.at_once
        if least > free:
            raise InputError(
                f"A plane of {self.height} × {self.width} px takes {least / GIB:.1f} GiB of memory "
                f"while it is drawn; {free / GIB:.1f} GiB are free. Synthesize a region, or parts "
                "one by one."
            )
        space = shutil.disk_usage(scratch).free
        if self.on_disk > space:
            raise InputError(
                f"A plane of {self.height} × {self.width} px is too large for memory and takes "
                f"{self.on_disk / GIB:.1f} GiB of the disk while it is drawn; in {scratch} "
                f"{space / GIB:.1f} GiB are free. Make room there, or synthesize a region."
            )
        return True
