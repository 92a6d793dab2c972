"""What imports need to know of a part of a panel that offers models."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget


class Offering(QWidget):
    """Offers models of a task; a subclass shows them."""

    task = ""
    """Of the models; empty for all."""

    def look_again(self) -> None:
        """Offer what is in the user's library now."""
        raise NotImplementedError

    def choose(self, name: str) -> None:
        """Choose a model by name."""
        raise NotImplementedError

    def takes(self, task: str) -> bool:
        """Whether models of a task are offered."""
        return self.task in ("", task)

    def take(self, name: str, task: str) -> None:
        """Offer a model that has come, and choose it if it is for the panel."""
        self.look_again()
        if self.takes(task):
            self.choose(name)
