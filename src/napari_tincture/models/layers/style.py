"""A style, by its number or as a vector, as part of what a network is told of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError


class Style(nn.Module):
    """From numbers of styles, or vectors between them, to `embedded` channels.

    Style 0 is none, or not known; its vector is zero and stays so.

    Parameters
    ----------
    styles
        How many there are beside 0.
    """

    def __init__(self, styles: int, channels: int, embedded: int) -> None:
        super().__init__()
        self.styles = styles
        self.vectors = nn.Embedding(styles + 1, channels, padding_idx=0)
        self.linear = nn.Linear(channels, embedded)

    def forward(self, style: Tensor | None, batch: int) -> Tensor:
        """Embed styles.

        Parameters
        ----------
        style
            (b,) integers from 0, or (b, channels) vectors; None: style 0.

        Returns
        -------
        Tensor
            (b, embedded).

        Raises
        ------
        ModelError
            If it has another shape.
        """
        weight = self.linear.weight
        if style is None:
            style = torch.zeros(batch, dtype=torch.long, device=weight.device)
        if not style.is_floating_point() and style.shape == (batch,):
            style = self.vectors(style)
        if style.shape != (batch, self.vectors.embedding_dim):
            raise ModelError(
                f"Expected a style as {batch} integers from 0 to {self.styles}, or as vectors "
                f"({batch}, {self.vectors.embedding_dim}), got {tuple(style.shape)} "
                f"{style.dtype}."
            )
        result: Tensor = self.linear(style.to(weight.dtype))
        return result
