"""A network together with its card: what every task runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.grid import Geometry, mirror_index
from napari_tincture.models.card import ModelCard
from napari_tincture.models.layers.fixed_size import holding, values_to_hold
from napari_tincture.models.registry import build_network, find_build, room_of
from napari_tincture.models.weights import key_of, load_weights, read_card, save_weights

if TYPE_CHECKING:
    from os import PathLike

# What changes the numbers that a model gives, or their meaning; texts and figures do not.
FUNCTIONAL_FIELDS = (
    "task", "architecture", "options", "normalisation", "output_range", "rgb_output",
    "border", "stride", "margin", "residue", "instances",
)  # fmt: skip
# These came later: models that do without keep the fingerprints that they had.
LATER_FIELDS = {"held": "reduced", "denoising": None}


class Model:
    """A network with the card that says what its channels and values mean.

    Parameters
    ----------
    network
        Any torch module from (b, c, y, x) to (b, c', y, x), float32. It is put in inference
        mode here, once; nothing else about it is ever changed.
    card
        Its description.
    parts
        Networks that are kept with it, as the card names them; they are put in inference mode,
        too.

    Raises
    ------
    ModelError
        If the card names other parts.
    """

    def __init__(
        self, network: nn.Module, card: ModelCard, parts: Mapping[str, nn.Module] | None = None
    ) -> None:
        self._network: nn.Module | None = network.eval()
        self._parts = {name: part.eval() for name, part in (parts or {}).items()}
        if self._parts.keys() != card.parts.keys():
            raise ModelError(
                f"The card of {card.name!r} names the parts {', '.join(card.parts) or 'none'}; "
                f"given were {', '.join(self._parts) or 'none'}."
            )
        self._card = card
        self._path: Path | None = None
        self._fingerprint: str | None = None

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Model:
        """Open a weight file: its card now, its weights when the network is first used.

        Raises
        ------
        ModelError
            If the file is damaged or foreign, or its architecture unknown.
        """
        model = cls.__new__(cls)
        model._network, model._fingerprint, model._parts = None, None, {}
        model._path, model._card = Path(path), read_card(path)
        find_build(model._card.architecture, model._room)
        for name, part in model._card.parts.items():
            find_build(part.architecture, room_of(name))
        return model

    def __reduce__(self) -> Any:
        if self._path is not None:
            return _opened_again, (self._path.absolute(), self._card)
        return Model, (self._network, self._card, self._parts)

    @property
    def card(self) -> ModelCard:
        """What the model takes and gives."""
        return self._card

    @property
    def network(self) -> nn.Module:
        """The torch module, in inference mode."""
        if self._network is None:
            assert self._path is not None
            card = self.card
            network = build_network(card.architecture, card.options, self._room, filled=False)
            load_weights(self._path, network)
            self._network = network.eval()
        return self._network

    @property
    def _room(self) -> str:
        return room_of("forward", self.card.denoising is not None)

    def part(self, name: str) -> nn.Module:
        """A network that is kept with this one, in inference mode; loaded on first use.

        Raises
        ------
        ModelError
            If there is none of that name.
        """
        if name not in self.card.parts:
            raise ModelError(
                f"Model {self.card.name!r} has no part {name!r}; it has "
                f"{', '.join(self.card.parts) or 'none'}."
            )
        if name not in self._parts:
            assert self._path is not None
            part = self.card.parts[name]
            network = build_network(part.architecture, part.options, room_of(name), filled=False)
            load_weights(self._path, network, name)
            self._parts[name] = network.eval()
        return self._parts[name]

    def with_card(self, card: ModelCard) -> Model:
        """The same networks with another card."""
        parts = {name: self.part(name) for name in card.parts}
        model = Model(self.network, card, parts)
        model._path = self._path
        return model

    @property
    def path(self) -> Path | None:
        """The file that its weights were read from; None if they were not."""
        return self._path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and of the card's fields that change the result."""
        if self._fingerprint is None:
            self._fingerprint = _fingerprint(self.network, self.card)
        return self._fingerprint

    def measure(self, image: ArrayLike) -> NDArray[np.float64]:
        """Normalisation statistics of a whole plane (c, y, x), for `predict`'s `stats`."""
        return self.card.normalisation.measure(image)

    def predict(self, tensor: Tensor, *, stats: ArrayLike | None = None) -> Tensor:
        """Run the network on whole planes: the definition of the right result.

        Parameters
        ----------
        tensor
            Image values (b, c, y, x), any real dtype, on the device of the network.
        stats
            Normalisation statistics, (c, 2) for all items or (b, c, 2); measured from `tensor`
            where not given.

        Returns
        -------
        Tensor
            (b, c', y, x) float32, same y and x; the values of the network, in the card's range.

        Raises
        ------
        InputError
            For a wrong number of dimensions or channels, complex values or empty planes.
        """
        self.check_input(tensor)
        height, width = tensor.shape[2:]
        values = self.normalise(tensor, self._stats(tensor, stats))
        held = values_to_hold(self.network, values, self.card.held)
        values = _extend(values, self.geometry)
        # The layout of tiled runs: another one takes other kernels, which round differently.
        values = values.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), holding(self.network, held):
            result: Tensor = self.network(values)
        return result[:, :, :height, :width].float().clone()

    def normalise(self, tensor: Tensor, stats: NDArray[np.float64]) -> Tensor:
        """Map image values (b, c, y, x) to the network's, float32; stats are (b, c, 2)."""
        gains, offsets = zip(*map(self.card.normalisation.affine, stats), strict=True)
        shape = (len(stats), -1, 1, 1)
        gain = torch.as_tensor(np.stack(gains), dtype=torch.float32, device=tensor.device)
        offset = torch.as_tensor(np.stack(offsets), dtype=torch.float32, device=tensor.device)
        values: Tensor = tensor.to(torch.float32) * gain.reshape(shape) + offset.reshape(shape)
        clip = self.card.normalisation.clip
        return values if clip is None else values.clamp(*clip)

    @property
    def geometry(self) -> Geometry:
        """Stride, halo and border of the card; stride 1 and halo 0 where it does not say."""
        card = self.card
        return Geometry(card.stride or 1, card.halo or 0, card.border, card.margin, card.residue)

    def check_input(self, tensor: Tensor) -> None:
        """Raise `InputError` unless `predict` accepts the tensor."""
        wanted = len(self.card.inputs)
        names = ", ".join(channel.name for channel in self.card.inputs)
        if not isinstance(tensor, Tensor):
            raise InputError(f"Expected a torch tensor (b, c, y, x), got {type(tensor).__name__}.")
        if tensor.ndim != 4:
            raise InputError(
                f"Expected a tensor (b, c, y, x), got {tensor.ndim} dimensions of sizes "
                f"{tuple(tensor.shape)}; add or index axes until there are four."
            )
        if tensor.shape[1] != wanted:
            raise InputError(
                f"Model {self.card.name!r} takes {wanted} channels ({names}), "
                f"got {tensor.shape[1]}; select or map the channels."
            )
        if tensor.is_complex():
            raise InputError(f"Expected real values, got {tensor.dtype}; take its magnitude.")
        if tensor.numel() == 0:
            raise InputError(f"The image has no pixels: shape {tuple(tensor.shape)}.")

    def save(self, path: str | PathLike[str], *, half: bool = False) -> Path:
        """Write weights and card to one ``.safetensors`` file, atomically.

        `half` stores float16, half the size; it is cast to float32 when loaded.
        """
        state = dict(self.network.state_dict())
        for name in self.card.parts:
            part = self.part(name).state_dict()
            state |= {key_of(name, key): value for key, value in part.items()}
        return save_weights(path, state, self.card, half=half)

    def _stats(self, tensor: Tensor, stats: ArrayLike | None) -> NDArray[np.float64]:
        batch, channels = tensor.shape[:2]
        if stats is None:
            return np.stack([self.measure(_to_numpy(item)) for item in tensor])
        rows = np.asarray(stats, dtype=np.float64)
        if rows.shape not in ((channels, 2), (batch, channels, 2)):
            raise InputError(
                f"Expected statistics of shape ({channels}, 2) or ({batch}, {channels}, 2), "
                f"got {rows.shape}."
            )
        return np.broadcast_to(rows, (batch, channels, 2))


def _opened_again(path: Path, card: ModelCard) -> Model:
    model = Model.from_file(path)
    model._card = card
    return model


def _to_numpy(item: Tensor) -> NDArray[Any]:
    if item.dtype == torch.bfloat16:  # numpy has none
        item = item.float()
    return item.detach().cpu().numpy()


def _extend(values: Tensor, geometry: Geometry) -> Tensor:
    height, width = values.shape[2:]
    y, x = (
        torch.from_numpy(
            mirror_index(-geometry.margin, geometry.extended(n) + geometry.margin, n)
        ).to(values.device)
        for n in (height, width)
    )
    if len(y) == height and len(x) == width:
        return values
    return values[:, :, y[:, None], x]


def _fingerprint(network: nn.Module, card: ModelCard) -> str:
    digest = hashlib.sha256()
    values = json.loads(card.to_json())
    functional = {key: values[key] for key in FUNCTIONAL_FIELDS}
    functional |= {key: values[key] for key, usual in LATER_FIELDS.items() if values[key] != usual}
    digest.update(json.dumps(functional, sort_keys=True).encode())
    for key, value in sorted(network.state_dict().items()):
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    style = getattr(network, "style", None)
    if isinstance(style, Tensor):  # chosen for a run; not among the weights
        digest.update(style.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
