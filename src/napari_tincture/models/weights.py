"""Networks on disk: one safetensors file with the card as JSON in its metadata.

Reading a card opens the header only and needs no torch. Nothing in a file is ever executed.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_tincture.durable import write_file
from napari_tincture.errors import ModelError, OutputError
from napari_tincture.models.card import ModelCard

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor, nn

METADATA_KEY = "napari_tincture.card"
LARGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format."""


def read_card(path: str | PathLike[str]) -> ModelCard:
    """Read the card of a weight file, from its header alone.

    Raises
    ------
    ModelError
        If the file is missing, damaged, of another format, or has no card.
    """
    header, _ = _read_header(Path(path))
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or METADATA_KEY not in metadata:
        raise ModelError(
            f"{path} is a safetensors file without a model card; it was not written by "
            "napari-tincture. Wrap the network in Model(network, card) and save that."
        )
    try:
        return ModelCard.from_json(metadata[METADATA_KEY])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def has_card(path: str | PathLike[str]) -> bool:
    """Whether a safetensors file was written by this package.

    Raises
    ------
    ModelError
        If it is damaged, or no such file.
    """
    header, _ = _read_header(Path(path))
    return METADATA_KEY in (header.get("__metadata__") or {})


def load_weights(path: str | PathLike[str], network: nn.Module, part: str = "") -> None:
    """Fill a network with the file's weights, cast to the network's precision.

    Parameters
    ----------
    part
        Name of a part of the card; "" for the network that the card is about. Weights of no
        other part are read.

    Raises
    ------
    ModelError
        If the file is damaged, or its tensors are not those of the network.
    """
    from safetensors import SafetensorError, safe_open

    _read_header(Path(path))
    try:
        with safe_open(path, "pt") as file:
            names = {key: split_key(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
            state = {
                key: file.get_tensor(name) for name, (own, key) in names.items() if own == part
            }
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged: {error}. Get the file again.") from error
    fill_network(network, state, f"{path} ({part})" if part else str(path))


def key_of(part: str, key: str) -> str:
    """Name in a file of a tensor of a part's state dict."""
    return f"{part}/{key}" if part else key


def split_key(name: str) -> tuple[str, str]:
    """Part and state dict's key of a tensor in a file."""
    part, _, key = name.rpartition("/")
    return part, key


def fill_network(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Copy a state dict into a network, after comparing names and shapes."""
    check_fit(network, state, origin)
    network.load_state_dict(dict(state))


def check_fit(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Raise a `ModelError` that names every tensor of another name or shape."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    differences = [
        f"{key}: file {found.get(key, 'lacks it')}, network {wanted.get(key, 'lacks it')}"
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
    ]
    if differences:
        shown = "; ".join(differences[:4])
        raise ModelError(
            f"The weights of {origin} do not fit the architecture: {len(differences)} tensors "
            f"differ ({shown}). Check the architecture's options."
        )


def save_weights(
    path: str | PathLike[str],
    state: Mapping[str, Tensor],
    card: ModelCard,
    *,
    half: bool = False,
) -> Path:
    """Write weights and card to one file; an existing one is replaced only when complete."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = Path(path)
    if target.suffix != ".safetensors":
        raise OutputError(f"Models are saved as .safetensors, got {target.name!r}.")
    tensors = {key: _stored(value, half) for key, value in state.items()}
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        save_file(tensors, part, metadata={METADATA_KEY: card.to_json()})
        _give_usual_mode(part)
        part.replace(target)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"Cannot write the model to {target}: {error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def replace_card(path: str | PathLike[str], card: ModelCard, target: Path) -> Path:
    """Write the weights of a file to another, or to itself, with another card; without torch.

    Raises
    ------
    ModelError
        If the file is damaged, or no such file.
    OutputError
        If `target` cannot be written.
    """
    source = Path(path)
    header, length = _read_header(source)
    header["__metadata__"] = {**header.get("__metadata__", {}), METADATA_KEY: card.to_json()}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors are aligned

    def write(file: BinaryIO) -> None:
        file.write(len(text).to_bytes(8, "little") + text)
        with source.open("rb") as old:
            old.seek(8 + length)
            shutil.copyfileobj(old, file)

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, write)
    except OSError as error:
        raise OutputError(f"Cannot write the model to {target}: {error}.") from error
    return target


def _give_usual_mode(path: Path) -> None:
    # safetensors creates files that only their owner can read.
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def _stored(value: Tensor, half: bool) -> Tensor:
    # Without clone() tensors that share memory would be refused by safetensors.
    value = value.detach().cpu().clone().contiguous()
    if not half or not value.is_floating_point():
        return value
    short = value.half()
    return short if short.isfinite().all() else value  # too large for float16


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header of a safetensors file and the number of its bytes, checked against its size."""
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            start = handle.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, LARGEST_HEADER):
                raise ModelError(_foreign_message(path, start))
            text = handle.read(length)
    except OSError as error:
        raise ModelError(f"Cannot read the model file {path}: {error}.") from error
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ModelError(_foreign_message(path, start)) from error
    if not isinstance(header, dict):
        raise ModelError(_foreign_message(path, start))
    _check_size(path, header, size - 8 - length)
    return header, length


def _check_size(path: Path, header: dict[str, Any], present: int) -> None:
    try:
        ends = [item["data_offsets"][1] for key, item in header.items() if key != "__metadata__"]
        expected = max(ends, default=0)
        complete = present == expected
    except (TypeError, KeyError, IndexError) as error:
        raise ModelError(f"{path} has a damaged header: {error!r}. Get the file again.") from error
    if not complete:
        raise ModelError(
            f"{path} is damaged: it holds {present} bytes of weights, its header announces "
            f"{expected}. Get the file again."
        )


def _foreign_message(path: Path, start: bytes) -> str:
    pickled = start[:2] == b"PK" or start[:1] == b"\x80"
    what = "a pickle or torch checkpoint, which could run code" if pickled else "damaged or foreign"
    return (
        f"{path} is no safetensors file with a model card: it is {what}. "
        "Expected a .safetensors file written by napari-tincture."
    )
