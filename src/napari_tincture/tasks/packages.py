"""Models of other programs, and for them: packages of BioImage.IO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.card import Task
from napari_tincture.models.packages._check import OnMismatch
from napari_tincture.progress import CancelToken, Progress, as_callback

if TYPE_CHECKING:
    from os import PathLike

    from napari_tincture.models.model import Model
    from napari_tincture.models.packages.load import Loaded, Package

LIBRARY = "library"
WHOLE = (
    "The network takes values from the whole image; tiles on their own give others, which "
    "napari-tincture avoids."
)
Weights = Literal["auto", "pytorch_state_dict", "torchscript", "onnx"]


def import_package(
    path: str | PathLike[str],
    *,
    consent: Mapping[str, bool] | None = None,
    weights: Weights = "auto",
    output: str | None = None,
    task: Task | None = None,
    name: str | None = None,
    pixel_size: float | None = None,
    on_mismatch: OnMismatch = "error",
    save_to: str | PathLike[str] | None = None,
) -> Model:
    """Make a model of a BioImage.IO model package, format 0.4 or 0.5.

    The package's test is run; its steps before and after the network become the card's
    normalisation and part of the network. State dicts of architectures that are known here are
    tiled exactly, as are Python code and TorchScript that can be measured. ONNX cannot be looked
    into: it is tiled with the halo that the package states, and blended.

    Parameters
    ----------
    path
        A ``.zip`` file or a folder with ``rdf.yaml`` or ``bioimageio.yaml``.
    consent
        Programs of the package that may be run, by their SHA-256: ``{"3f…": True}``. Python code
        and TorchScript are never run without; the error, and `inspect_package`, name their
        hashes, which are compared again right before they are run. It holds for this process,
        and is remembered where the model is saved to the library (``consents.json`` there);
        False takes it back for this process. ONNX and state dicts are data, and need none.
    weights
        Which of the package's weights are used. "auto": the first of a state dict, TorchScript
        and ONNX that can be without further consent.
    output
        Name of the output, where the package has several.
    task
        "segment" or "stain"; from the package's tags if not given.
    name
        What the model is called; as the package if not given.
    pixel_size
        Micrometres per pixel of the images that it was trained on; what the package says if not
        given.
    on_mismatch
        "error" or "warn" if the model does not give the package's own test output.
    save_to
        A ``.safetensors`` file to write, or "library": the user's own models, which panels and
        `list_models` offer. Programs are kept within.

    Returns
    -------
    Model
        For `stain` or `segment`.

    Raises
    ------
    ConsentError
        If a program would be run without consent; `programs` maps hashes to what they are.
    ModelError
        If the package is damaged, unsafe, of another version, does not give its own result, or
        has something that cannot be mapped, which the message names.
    OutputError
        If `save_to` cannot be written.
    """
    from napari_tincture.models import load_model
    from napari_tincture.models.consent import give_consent, remember
    from napari_tincture.models.packages._check import check
    from napari_tincture.models.packages.load import load
    from napari_tincture.tasks.import_checkpoint import _target
    from napari_tincture.tiling.reach import with_reach

    _check_choices(weights=(weights, Weights), on_mismatch=(on_mismatch, OnMismatch))
    give_consent(consent or {})
    loaded = load(Path(path), weights, output)
    found = _measured(loaded)
    card = found.card
    changes: dict[str, Any] = {"task": task, "name": name, "pixel_size": pixel_size}
    card = card.replace(**{key: value for key, value in changes.items() if value is not None})
    target = None if save_to is None else _target(save_to, card.name)
    if save_to == LIBRARY and target is not None:
        card = card.replace(name=target.stem)
    model = with_reach(found.with_card(card))
    check(model, loaded.image, loaded.expected, loaded.tolerance, on_mismatch)
    if target is None:
        return model
    target.parent.mkdir(parents=True, exist_ok=True)
    saved = model.save(target)
    if save_to == LIBRARY and loaded.programs:
        remember(loaded.programs)
    return load_model(saved)


def _measured(loaded: Loaded) -> Model:
    """The model as it can be tiled exactly, or else as the package says.

    Programs cannot be suspended in the middle, as it takes to find values of the whole image.
    """
    from napari_tincture.tiling.reach import reach_of

    bare = loaded.measurable()
    if bare is None:
        return loaded.model
    try:
        reach = reach_of(bare)
        return bare if reach.exact and not reach.sites else loaded.model
    except ModelError:
        return loaded.model


def inspect_package(path: str | PathLike[str]) -> Package:
    """Say what `import_package` would find in a package, running and building nothing.

    Returns
    -------
    Package
        Name, licence, tensors, weights, and what needs consent.

    Raises
    ------
    ModelError
        As `import_package`.
    """
    from napari_tincture.models.packages.load import inspect

    return inspect(Path(path))


def export_package(
    model: str | Model | Any,
    path: str | PathLike[str],
    *,
    test_image: Any,
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    authors: Sequence[str | Mapping[str, str]] = (),
    licence: str | None = None,
    cite: Sequence[Mapping[str, str]] = (),
    tags: Sequence[str] = (),
    documentation: str = "",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Write a model as a BioImage.IO model package, format 0.5.

    It holds a state dict whose architecture is named, TorchScript for programs that do not have
    it, a test, documentation, and the card: `import_package` gives the same numbers again.
    Halo and sizes are those that were measured, so that tiles of other programs agree inside the
    image. Networks beside the main one are left out, and what is made of the maps (objects).

    Parameters
    ----------
    model
        A name of `list_models`, a path, or a `Model`.
    path
        A ``.zip`` to write, or else a folder, empty or new.
    test_image
        Whatever `open_image` accepts; the middle of its first plane, up to 256 pixels wide or as
        many as the halo needs, becomes the test, in its own type. Where the card's normalisation
        depends on the type, that is the one which the package takes.
    channels
        As in `stain`.
    authors
        Names, or mappings with the format's fields (``name``, ``affiliation``, ``orcid`` …).
    licence
        SPDX identifier, such as "CC-BY-4.0"; that of the card if it is one.
    cite
        Mappings of ``text`` and ``doi`` or ``url``; the card's citation if it has either.
    tags
        Further tags.
    documentation
        Markdown; made of the card if empty.
    progress, cancel
        As in every call that computes; counts steps: measure, read, write.

    Returns
    -------
    Path
        Of the package.

    Raises
    ------
    ModelError
        If a package cannot hold the model: it draws noise, has parts of fixed size, is a package
        itself, or takes other steps at other image sizes.
    InputError
        If image, authors or citations do not fit.
    OutputError
        If the package exists or cannot be written.
    """
    from napari_tincture.models.packages.write import Words, test_span, write
    from napari_tincture.models.shipped import load_model
    from napari_tincture.tasks._run import opened
    from napari_tincture.tasks.channels import map_channels
    from napari_tincture.tiling.reach import reach_of, with_reach

    report, token = as_callback(progress), cancel or CancelToken()

    def after(step: int) -> None:
        token.check()
        report(step, 3)

    after(0)
    found = load_model(model)
    plain = found.card.replace(parts={}, calibration=())
    found = with_reach(found.with_card(plain))
    after(1)
    inputs = map_channels(opened(test_image), found.card, channels)
    # Of a slide, no more is read than is taken.
    spans = [test_span(found.geometry, length) for length in inputs.shape]
    y, x = (slice(max(a, 0), min(b, n)) for (a, b), n in zip(spans, inputs.shape, strict=True))
    plane = inputs.finite(inputs.planes[0], y, x)
    after(2)
    reach = reach_of(found)
    notes = [WHOLE] if reach.sites else []
    notes += [f"Tiles are not exact: {reason}." for reason in reach.reasons]
    words = Words(authors, licence, cite, tags, documentation)
    written = write(found, Path(path), plane, words, notes)
    report(3, 3)
    return written


def _check_choices(**given: tuple[Any, Any]) -> None:
    for name, (value, kind) in given.items():
        if value not in get_args(kind):
            expected = ", ".join(map(repr, get_args(kind)))
            raise InputError(f"{name}={value!r}: expected one of {expected}.")
