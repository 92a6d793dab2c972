"""What `stain` gives beside the stain."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from napari_tincture.call import TOGETHER, Call
from napari_tincture.errors import InputError
from napari_tincture.models import Model
from napari_tincture.models.directions import turned
from napari_tincture.models.outputs import Question, ask
from napari_tincture.raster import Raster
from napari_tincture.tasks._record import record
from napari_tincture.tasks._run import given_context, make_job, measured, narrowed
from napari_tincture.tasks._turns import spread_over_turns
from napari_tincture.tasks.outputs import Outputs
from napari_tincture.tiling.answers import as_answer
from napari_tincture.tiling.reach import Reach, reach_of, take_reach
from napari_tincture.tiling.result import as_raster

_DTYPES = ("uint8", "uint16", "float16", "float32")


def directed(model: Model, direction: str) -> Model:
    """The model that leads in a direction.

    Raises
    ------
    InputError
        If the direction is unknown, or the model does not have it.
    """
    if direction not in ("forward", "backward"):
        raise InputError(f"direction={direction!r}: expected 'forward' or 'backward'.")
    if direction == "forward":
        return model
    if "backward" not in model.card.parts:
        raise InputError(
            f"Model {model.card.name!r} has one direction, 'forward'; {direction!r} was asked for."
        )
    return measured(turned(model))


def asked(outputs: Sequence[str] | str) -> tuple[str, ...]:
    """Names of outputs, each once."""
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    if not names or len(set(names)) < len(names):
        raise InputError(f"outputs={outputs!r}: expected one name or several, each once.")
    return names


def result_dtype(dtype: str, rgb: bool) -> np.dtype[Any]:
    """Data type of a result, of which "auto" depends on whether it is a colour image."""
    if dtype == "auto":
        return np.dtype("uint8" if rgb else "float32")
    known = {np.dtype(name): name for name in _DTYPES}
    try:
        chosen = np.dtype(dtype)
    except TypeError:
        chosen = None
    if chosen not in known:
        raise InputError(f"dtype={dtype!r}: expected auto, {', '.join(known.values())}.")
    return chosen


def answered(
    image: Raster, given: Model, model: Model, settings: Mapping[str, Any]
) -> Raster | Outputs:
    """Give what was asked for; nothing is computed.

    Parameters
    ----------
    image
        As it was given, with all its planes.
    given, model
        As it was given, and in the direction that is wanted.
    settings
        Arguments of `stain`.
    """
    names = tuple(settings["outputs"])
    turns = "std" in names and not model.card.noise_inputs
    joined = tuple(name for name in names if not (turns and name == "std"))
    found: dict[str, Raster] = {}
    together = None
    if joined:
        together, found = _joined(image, given, model, {**settings, "outputs": joined}, names)
    if turns:
        found["std"] = _spread(image, given, model, settings)
    results = {name: found[name] for name in names}
    return results[names[0]] if len(names) == 1 else Outputs(results, together)


def _joined(
    image: Raster,
    given: Model,
    model: Model,
    settings: Mapping[str, Any],
    names: tuple[str, ...],
) -> tuple[Raster, dict[str, Raster]]:
    """All answers of one job, together and one by one; `names` are of all that was asked for."""
    source, part = narrowed(image, settings["region"])
    question, joined = question_of(model, settings["outputs"], _samples(settings["samples"]))
    job = make_job(source, joined, {**settings, **part}, "float32")
    recorded = record("stain", image, joined, settings)
    call = Call("stain", image, given, {**settings, "context": given_context(job)})
    title = f"{source.name} {model.card.name}".strip()
    results = {}
    for name, answer in question.answers.items():
        kind = result_dtype(settings["dtype"], answer.rgb)
        own = title if name == "image" else f"{title} {name.replace('_', ' ')}"
        raster = as_answer(job, answer, kind if _is_image(name) else _FLOAT, source, own, recorded)
        pick = name if len(settings["outputs"]) > 1 else ""
        results[name] = replace(raster, call=replace(call, pick=pick))
    together = as_raster(job, source, title, *recorded)
    if len(names) > 1:
        arguments = {**call.arguments, "outputs": list(names)}
        whole = replace(call, arguments=arguments, pick=TOGETHER)
        together = replace(together, call=whole)
    return together, results


_REACHES: weakref.WeakKeyDictionary[nn.Module, dict[Any, Reach]] = weakref.WeakKeyDictionary()


def question_of(model: Model, names: Sequence[str], samples: int = 1) -> tuple[Question, Model]:
    """The question, and its model measured: once for the same network and the same question."""
    question = ask(model, names, samples)
    known = _REACHES.setdefault(model.network, {})
    key = tuple(names), samples, repr(model.card.parts)
    if key in known:
        take_reach(question.model.network, known[key])
    joined = measured(question.model)
    known[key] = reach_of(joined)
    return question, joined


_FLOAT = np.dtype("float32")


def _is_image(name: str) -> bool:
    """Whether an answer is an image, whose data type is the caller's to choose."""
    return name in ("image", "reconstruction")


def _samples(samples: Any) -> int:
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise InputError(f"samples={samples!r}: expected a whole number of at least 1.")
    return samples


def _spread(image: Raster, given: Model, model: Model, settings: Mapping[str, Any]) -> Raster:
    """Standard deviation of the stain over the flips and quarter turns of the image."""
    source, part = narrowed(image, settings["region"])
    raster = spread_over_turns(source, model, {**settings, **part})
    provenance, _ = record("stain", image, model, settings)
    title = f"{source.name} {model.card.name} std".strip()
    low, high = model.card.output_range
    display = {"colours": ["magma"], "limits": [[0.0, 0.2 * (high - low)]]}
    call = Call("stain", image, given, {**settings, "outputs": ["std"]})
    return replace(raster, name=title, provenance=provenance, display=display, call=call)
