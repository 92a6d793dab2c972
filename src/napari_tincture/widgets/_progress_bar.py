"""A thin bar that stands still until there is something to count.

Qt animates a bar without an end sixty times a second, and each frame draws the whole window anew,
canvas included: without a graphics card that costs as much as a processor's core computes.
"""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar


class ProgressBar(QProgressBar):
    """A bar that counts tiles, steps or parts."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(10)
        self.setTextVisible(False)
        self.show_done(0, 0)

    def show_done(self, done: int, total: int) -> None:
        """Show how much is done; empty while the total is 0, for it is not known yet."""
        self.setRange(0, max(total, 1))
        self.setValue(done)
