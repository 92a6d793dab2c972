"""Writing a package of format 0.5, which other programs run as we do.

It holds the weights as a state dict, whose architecture is this package's by name, and as
TorchScript, for programs that do not have it. The card lies in the description's `config`.
"""

from __future__ import annotations

import io
import json
import uuid
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError, ModelError, OutputError
from napari_tincture.grid import Geometry, mirror_index
from napari_tincture.models.consent import sha256_of
from napari_tincture.models.packages import _say
from napari_tincture.models.packages.load import CONFIG

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_tincture.models.model import Model

FORMAT = "0.5.4"
LARGEST_TEST = 256
"""Pixels along each side of a test image, where the network takes so few."""
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""Of zip files; the same model gives the same bytes on any day."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a package says beside the card.

    Attributes
    ----------
    authors
        Names, or mappings with the format's fields.
    licence
        An SPDX identifier.
    cite
        Mappings of text and doi or url.
    documentation
        Markdown; made of the card if empty.
    """

    authors: Sequence[str | Mapping[str, str]] = ()
    licence: str | None = None
    cite: Sequence[Mapping[str, str]] = ()
    tags: Sequence[str] = ()
    documentation: str = ""


def write(
    model: Model, path: Path, image: npt.NDArray[Any], words: Words, notes: Sequence[str] = ()
) -> Path:
    """Write a package, a ``.zip`` or else a folder.

    Parameters
    ----------
    model
        With what was measured of it on its card.
    image
        (c, y, x), whose middle becomes the test.
    notes
        Sentences for the documentation.

    Raises
    ------
    ModelError
        If a package cannot hold the model.
    InputError
        If the image or the words do not fit.
    OutputError
        If it exists or cannot be written.
    """
    files = contents(model, image, words, notes)
    try:
        if path.suffix == ".zip":
            _write_zip(path, files)
        else:
            _write_folder(path, files)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"Cannot write the package to {path}: {error}.") from error
    return path


def contents(
    model: Model, image: npt.NDArray[Any], words: Words, notes: Sequence[str]
) -> dict[str, bytes]:
    """The files of a package, by name."""
    import yaml

    card, network, geometry = model.card, model.network, model.geometry
    _check(model)
    given = _test_image(model, image)
    result = _run(model, given)
    files = {"weights.pt": _state(network), "weights.torchscript": _traced(model, given)}
    files |= {"test_input.npy": _npy(given), "test_output.npy": _npy(result)}
    text = words.documentation or _say.documentation(card, geometry, notes)
    files["README.md"] = text.encode()
    described = _description(model, files, given, words)
    files["rdf.yaml"] = yaml.safe_dump(described, sort_keys=False, allow_unicode=True).encode()
    return files


def _check(model: Model) -> None:
    """Refuse what a package cannot say."""
    from napari_tincture.models.layers.fixed_size import trained_side

    card, reason = model.card, ""
    if card.noise_inputs:
        reason = f"draws noise ({', '.join(channel.name for channel in card.noise_inputs)})"
    elif card.architecture == "packaged":
        reason = "comes from a package: pass that one on"
    elif trained_side(model.network) is not None:
        reason = "holds parts at what they gave for the reduced image"
    if reason:
        raise ModelError(f"Model {card.name!r} {reason}, which cannot be written as a package.")


def _description(
    model: Model, files: Mapping[str, bytes], given: npt.NDArray[Any], words: Words
) -> dict[str, Any]:
    card, geometry = model.card, model.geometry
    dtype = _say.image_type(given.dtype)
    tests = [
        {"source": name, "sha256": sha256_of(files[name])}
        for name in ("test_input.npy", "test_output.npy")
    ]
    licence = _say.licence_of(card, words.licence)
    kind = "semantic-segmentation" if card.task == "segment" else "image-restoration"
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": _say.safe_name(card.name),
        "description": card.description[:1024] or card.name,
        "authors": _say.people(words.authors),
        "cite": _say.citations(card, words.cite),
        **({"license": licence} if licence else {}),
        "tags": [*dict.fromkeys(["2d", "pytorch", kind, *words.tags])],
        "documentation": "README.md",
        "inputs": [_say.input_tensor(card, geometry, dtype, tests[0])],
        "outputs": [_say.output_tensor(card, geometry, tests[1])],
        "weights": _weights(model, files),
        "config": {CONFIG: {"card": json.loads(card.to_json())}},
    }


def _weights(model: Model, files: Mapping[str, bytes]) -> dict[str, Any]:
    import torch

    version = torch.__version__.partition("+")[0]
    name, _, called = _place(model.card.architecture).partition(":")
    entries: dict[str, dict[str, Any]] = {
        kind: {"source": file, "sha256": sha256_of(files[file]), "pytorch_version": version}
        for kind, file in (
            ("pytorch_state_dict", "weights.pt"),
            ("torchscript", "weights.torchscript"),
        )
    }
    options = json.loads(json.dumps(dict(model.card.options)))
    entries["pytorch_state_dict"]["architecture"] = {
        "import_from": name, "callable": called, "kwargs": options,
    }  # fmt: skip
    entries["torchscript"]["parent"] = "pytorch_state_dict"
    return entries


def _place(architecture: str) -> str:
    """Where an architecture is imported from, ``module:name``."""
    from napari_tincture.models.registry import find_build

    build = find_build(architecture)
    return f"{build.__module__}:{build.__qualname__}"


def test_span(geometry: Geometry, length: int) -> tuple[int, int]:
    """Where the test lies along a side of an image; beyond it, mirrored, if that is too short."""
    least = _say.smallest(geometry)
    wanted = max(min(length, LARGEST_TEST), least)
    side = least + (wanted - least) // geometry.stride * geometry.stride
    start = (length - side) // 2
    return start, start + side


def _test_image(model: Model, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The middle of an image, (1, c, y, x) of a legal size; mirrored where it is too small."""
    if image.ndim != 3 or len(image) != len(model.card.inputs) or not image.size:
        raise InputError(
            f"Expected a test image (c, y, x) of {len(model.card.inputs)} channels, got the shape "
            f"{image.shape}."
        )
    spans = [test_span(model.geometry, length) for length in image.shape[1:]]
    places = [mirror_index(*s, n) for s, n in zip(spans, image.shape[1:], strict=True)]
    part = image[:, places[0][:, None], places[1]]
    dtype = np.uint8 if image.dtype == bool else _say.image_type(image.dtype)
    return np.ascontiguousarray(part[None], dtype)


def _normalised(model: Model, given: npt.NDArray[Any]) -> Tensor:
    import torch

    values = torch.from_numpy(given.astype(np.float32))
    return model.normalise(values, model.measure(given[0])[None])


def _run(model: Model, given: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What the bare network makes of the test image; unpadded ones give less than its size."""
    import torch

    with torch.inference_mode():
        result: npt.NDArray[np.float32] = model.network(_normalised(model, given)).float().numpy()
    return result


def _state(network: nn.Module) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save({key: v.detach().cpu().clone() for key, v in network.state_dict().items()}, buffer)
    return buffer.getvalue()


def _traced(model: Model, given: npt.NDArray[Any]) -> bytes:
    """The network as TorchScript, which must give the same at another size.

    Raises
    ------
    ModelError
        If its steps depend on the image.
    """
    import torch

    from napari_tincture.models.layers.copies import sharing_weights

    network, image = sharing_weights(model.network).requires_grad_(False), _normalised(model, given)
    stride = model.geometry.stride
    larger = torch.nn.functional.pad(image, (0, stride, 0, 2 * stride), mode="replicate")
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # torch recommends other formats, and warns of sizes in Python; packages have this one,
        # and the sizes are tried below.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit._trace.TracerWarning)
        try:
            traced = torch.jit.trace(network, image, check_trace=False)
            torch.jit.save(traced, buffer)
            same = torch.allclose(traced(larger), network(larger), rtol=1e-4, atol=1e-5)
        except RuntimeError as error:
            raise _untraceable(model, str(error)) from error
    if not same:
        raise _untraceable(model, "it takes other steps at another size of the image")
    return buffer.getvalue()


def _untraceable(model: Model, why: str) -> ModelError:
    return ModelError(
        f"Model {model.card.name!r} cannot be written as TorchScript: {why}. Packages for other "
        "programs need it; give the .safetensors file to users of napari-tincture."
    )


def _npy(values: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    if path.exists():
        raise OutputError(f"{path} exists. Choose another name, or remove it first.")
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with zipfile.ZipFile(part, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), content, zipfile.ZIP_DEFLATED)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} exists and is not empty. Choose another folder, or a .zip.")
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
