"""Layers in a row, only some of which are told of the noise and of the label map."""

from __future__ import annotations

from torch import Tensor, nn


class Told(nn.Module):
    """A layer whose ``forward`` takes what `Together.forward` does."""


class Together(nn.ModuleList):
    """Layers one after the other, each told what it takes."""

    def forward(self, x: Tensor, embedded: Tensor, label: Tensor) -> Tensor:
        """From (b, c, y, x) to (b, c', y', x').

        Parameters
        ----------
        embedded
            (b, e), how much noise there is.
        label
            (b, k, y', x'), what the image should show.
        """
        for layer in self:
            x = layer(x, embedded, label) if isinstance(layer, Told) else layer(x)
        return x
