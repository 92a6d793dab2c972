"""Several of U-GAT-IT's discriminators, each of which sees the image at half the size."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.ugatit import UgatitDiscriminator

SMALL = {"in_channels": 2, "ndf": 2, "n_layers": 3, "scales": 2}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3, ndf: int = 64, n_layers: int = 7, scales: int = 2
) -> MultiscaleUgatitDiscriminator:
    """Build discriminators for 2 to 4 scales; the other options are those of ``ugatit``.

    Sides are at least ``3 * 2**(n_layers + scales - 3)`` pixels.

    References
    ----------
    Kim et al., U-GAT-IT, ICLR 2020; Wang et al., pix2pixHD, CVPR 2018, section 3.2.
    """
    if not 2 <= scales <= 4:
        raise ModelError(
            f"Expected 2 to 4 scales, got {scales}; for one use the architecture 'ugatit'."
        )
    return MultiscaleUgatitDiscriminator(in_channels, ndf, n_layers, scales)


class MultiscaleUgatitDiscriminator(nn.Module):
    """From (b, in_channels, y, x) to scores (b, 1, y', x') per scale, the finest first."""

    def __init__(self, in_channels: int, ndf: int, n_layers: int, scales: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            UgatitDiscriminator(in_channels, ndf, n_layers) for _ in range(scales)
        )

    @property
    def extras(self) -> dict[str, int]:
        """Entries of `detailed` that are maps beside the scores, and their channels."""
        return UgatitDiscriminator.extras

    def forward(self, x: Tensor) -> list[Tensor]:
        """Score the patches of an image and of its reductions by averaging 2×2 pixels."""
        return [judge(image) for judge, image in zip(self.scales, self._sizes(x), strict=True)]

    def detailed(self, x: Tensor) -> dict[str, Any]:
        """The scores and what the networks know beside them.

        Returns
        -------
        dict
            "scores" and "cam_logit": lists by scale of what ``ugatit`` gives; "heatmap"
            (b, 1, y', x'), that of the finest scale.
        """
        known: list[dict[str, Tensor]] = [
            judge.detailed(image)  # type: ignore[operator]
            for judge, image in zip(self.scales, self._sizes(x), strict=True)
        ]
        found: dict[str, Any] = {k: [each[k] for each in known] for k in ("scores", "cam_logit")}
        return {**found, "heatmap": known[0]["heatmap"]}

    def _sizes(self, x: Tensor) -> list[Tensor]:
        images = [x]
        while len(images) < len(self.scales):
            images.append(functional.avg_pool2d(images[-1], 2))
        return images
