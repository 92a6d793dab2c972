"""Weights that cannot be shipped: files that a user has, named by an environment variable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tincture.errors import InputError, ModelError

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class UserWeights:
    """What file a user must have; imports nothing until it is looked for.

    Attributes
    ----------
    purpose
        What needs it, the subject of a sentence in the plural.
    network
        Name of the network in such a sentence.
    file
        What the file is.
    get
        How to come by it, an imperative.
    variable
        Environment variable that names it.
    home
        Module and class of the network, ``module:Class``.
    """

    purpose: str
    network: str
    file: str
    get: str
    variable: str
    home: str

    def path(self, given: str | PathLike[str] | None = None) -> Path:
        """Find the file: that which is given, else that which the variable names.

        Raises
        ------
        InputError
            If neither is there; the message says what is expected.
        """
        named = given or os.environ.get(self.variable)
        if not named:
            raise InputError(
                f"{self.purpose} need the weights of the {self.network}, and no file is given. "
                f"{self.get}, and set {self.variable} to its path."
            )
        file = Path(named).expanduser()
        if not file.is_file():
            raise InputError(f"There is no file {file}; expected {self.file} there. {self.get}.")
        return file

    def lacking(self) -> str:
        """Why the file cannot be used now; empty if it is there."""
        try:
            self.path()
        except InputError as error:
            return str(error)
        return ""

    def fill(
        self,
        network: nn.Module,
        given: str | PathLike[str] | None = None,
        *,
        spare: Callable[[str], bool] = lambda _: False,
        own: Callable[[str], bool] = lambda _: False,
        check: Callable[[dict[str, Tensor], Path], None] = lambda *_: None,
    ) -> None:
        """Give a network the weights of the file; it is then to be evaluated alone.

        Parameters
        ----------
        spare
            Whether a tensor of the file is not needed, by its name.
        own
            Whether a tensor of the network may stay as it is where the file lacks it.
        check
            Looks at the file's tensors first, and raises what speaks against them.

        Raises
        ------
        InputError
            If no file is given, or it is not there.
        ModelError
            If it is damaged, contains code, or holds the weights of another network.
        """
        from napari_tincture.models.weights import fill_network

        file = self.path(given)
        found = read_tensors(file)
        check(found, file)
        kept = {key: value for key, value in network.state_dict().items() if own(key)}
        state = {key: value for key, value in found.items() if not spare(key)}
        fill_network(network, {**kept, **state}, str(file))
        network.eval().requires_grad_(requires_grad=False)

    def build(self) -> nn.Module:
        """Make the network with random weights; imports torch."""
        module, _, name = self.home.partition(":")
        network: Callable[[], nn.Module] = getattr(import_module(module), name)
        return network()


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a state dict, ``.safetensors`` or of torch, without running any code of it.

    Raises
    ------
    ModelError
        If the file is damaged, or holds anything but tensors.
    """
    if file.suffix != ".safetensors":
        from napari_tincture.models.published import read_checkpoint

        return read_checkpoint(file)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} is damaged: {error}. Get the file again.") from error


INCEPTION = UserWeights(
    purpose="Features of images",
    network="FID Inception network",
    file="pt_inception-2015-12-05-6726825d.pth",
    get="Get pt_inception-2015-12-05-6726825d.pth, which pytorch-fid publishes",
    variable="NAPARI_TINCTURE_INCEPTION",
    home="napari_tincture.models.features.inception:Inception",
)
LPIPS = UserWeights(
    purpose="Figures of LPIPS",
    network="LPIPS network on AlexNet",
    file="its state dict (.pth or .safetensors)",
    get='Save it with the package lpips: torch.save(lpips.LPIPS(net="alex").state_dict(), path)',
    variable="NAPARI_TINCTURE_LPIPS",
    home="napari_tincture.models.features.lpips:Lpips",
)
VGG = UserWeights(
    purpose="Perceptual losses",
    network="VGG-19 network",
    file="its state dict (.pth or .safetensors)",
    get="Get vgg19-dcbb9e9d.pth, which torchvision publishes",
    variable="NAPARI_TINCTURE_VGG19",
    home="napari_tincture.models.features.vgg:Vgg19",
)
