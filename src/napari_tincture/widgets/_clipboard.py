"""The clipboard."""

from __future__ import annotations

from qtpy.QtWidgets import QApplication


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    clipboard.setText(text)
