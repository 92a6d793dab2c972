"""A model's card with its picture, to be read and copied."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from napari_tincture.errors import ModelError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.pictures import DRAWN, find_picture
from napari_tincture.widgets._card_text import card_html

LOWEST = 120
HIGHEST = 130
"""Pixels of the text at least, and of a picture at most."""
STYLE = "a { color: #56b4e9; } h3, p { margin-top: 0px; margin-bottom: 3px; }"
PICTURE = "Left a sample image, right what the model makes of it."


class CardView(QWidget):
    """What is known of a model."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.text = QLabel(), QTextBrowser()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.text.setMinimumHeight(LOWEST)
        self.text.setOpenExternalLinks(True)
        self.text.setToolTip("What the model takes and gives, where it comes from, its limits")
        document = self.text.document()
        assert document is not None
        document.setDefaultStyleSheet(STYLE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.picture)
        layout.addWidget(self.text)

    def show_card(self, card: ModelCard | None) -> None:
        """Show a card, or none."""
        try:
            self.text.setHtml("" if card is None else card_html(card))
        except ModelError as error:  # its file is gone
            self.text.setPlainText(str(error))
        path = None if card is None else find_picture(card.name)
        pixels = QPixmap("" if path is None else str(path))
        self.picture.setVisible(not pixels.isNull())
        if not pixels.isNull():
            note = DRAWN.get(card.name, "") if card is not None else ""
            self.picture.setToolTip(f"{PICTURE} {note}".strip())
            high = min(HIGHEST, pixels.height())
            mode = Qt.TransformationMode.SmoothTransformation
            self.picture.setPixmap(pixels.scaledToHeight(high, mode))

    @property
    def plain(self) -> str:
        """The card as plain text."""
        return str(self.text.toPlainText())
