"""A U-Net whose contracting path is a classifier's, with ImageNet weights if the user has them."""

from __future__ import annotations

from torch import Tensor, nn

from napari_tincture.models.layers.pyramid import Decoder
from napari_tincture.models.layers.unet_blocks import init_weights
from napari_tincture.models.networks.unet import Head, check_head, with_head
from napari_tincture.models.pretrained import EncoderName, build_encoder

SMALL = {"in_channels": 2, "out_channels": 3, "depth": 2, "width": 2, "encoder_width": 4}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 2,
    encoder: EncoderName = "resnet18",
    depth: int | None = None,
    width: int = 16,
    encoder_width: int = 64,
    head: Head = "none",
) -> EncoderUNet:
    """Build a network with random weights; `pretrained.load_encoder` gives it ImageNet's.

    Parameters
    ----------
    depth
        How often the image is halved, 1 to 5 (VGG 4); None: as often as in the published encoder.
        Sides of images are multiples of ``2**depth``.
    width
        Channels of the decoder at full resolution, doubled with the stride.
    encoder_width
        Channels of the encoder's first convolution; published weights have 64.
    head
        What follows the last convolution: nothing, a sigmoid per channel, or a softmax over them.

    Raises
    ------
    ModelError
        Options that are unknown or out of range.

    References
    ----------
    Ronneberger et al., U-Net, MICCAI 2015; Iglovikov and Shvets, TernausNet, 2018 (an encoder
    trained on ImageNet). The decoder enlarges by nearest neighbours and has batch norm.
    """
    check_head(head)
    return EncoderUNet(in_channels, out_channels, encoder, depth, width, encoder_width, head)


class EncoderUNet(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x), float."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        encoder: str,
        depth: int | None,
        width: int,
        encoder_width: int,
        head: Head,
    ) -> None:
        super().__init__()
        self.head = head
        self.encoder = build_encoder(
            encoder, in_channels=in_channels, depth=depth, width=encoder_width
        )
        self.decoder = Decoder(self.encoder, width, skips=True)
        self.last = nn.Conv2d(width, out_channels, 1)
        self.decoder.apply(init_weights)
        init_weights(self.last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, y, x) to (b, out_channels, y, x)."""
        return with_head(self.last(self.decoder(self.encoder(x))), self.head)
