"""Which weights of a package are used: those that run without what was not agreed to.

No torch here: a list of what needs consent is made without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec

from napari_tincture.errors import ModelError
from napari_tincture.models.consent import Program, has_consent, refusal, sha256_of
from napari_tincture.models.packages._archive import Archive
from napari_tincture.models.packages._description import Description, Weights
from napari_tincture.models.registry import ENTRY_POINT_GROUP, architecture_names, import_path

KINDS = ("pytorch_state_dict", "torchscript", "onnx")
INSTALL = 'pip install "napari-tincture[onnx]"'


@dataclass(frozen=True, slots=True)
class Choice:
    """Weights that a package has.

    Attributes
    ----------
    architecture
        Ours that they belong to; "" where the package does not say.
    program
        What would be run; None for plain data.
    lacking
        Why they cannot be used, whoever agrees; "" if they can.
    """

    weights: Weights
    architecture: str = ""
    program: Program | None = None
    lacking: str = ""

    @property
    def ready(self) -> bool:
        """Whether they can be used now."""
        agreed = self.program is None or has_consent(self.program.sha256)
        return agreed and not self.lacking


def choices(archive: Archive, description: Description) -> dict[str, Choice]:
    """All weights of a package, by format."""
    return {kind: _choice(archive, weights) for kind, weights in description.weights.items()}


def _choice(archive: Archive, weights: Weights) -> Choice:
    if weights.kind == "pytorch_state_dict":
        return _state_dict(archive, weights)
    if weights.kind == "torchscript":
        content = archive.read(weights.file, weights.sha256)
        return Choice(weights, "", Program(weights.file, sha256_of(content), "TorchScript"))
    if weights.kind == "onnx":
        return Choice(weights, lacking=_lacking_onnx(weights))
    return Choice(weights, lacking=f"{weights.kind} is not supported")


def _lacking_onnx(weights: Weights) -> str:
    if weights.external is not None:
        return f"onnx with weights in a second file, {weights.external}, is not supported"
    return "" if find_spec("onnxruntime") else f"onnx needs onnxruntime: {INSTALL}"


def _state_dict(archive: Archive, weights: Weights) -> Choice:
    if weights.code is not None:
        content = archive.read(weights.code, weights.code_sha256)
        return Choice(weights, "", Program(weights.code, sha256_of(content), "Python code"))
    place = f"{weights.library}:{weights.callable}"
    known = {f"{import_path(name)}:build": name for name in architecture_names()}
    known |= {point.value: point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    if place in known:
        return Choice(weights, known[place])
    return Choice(
        weights,
        lacking=f"its state dict is for {place.replace(':', '.')}, which is no architecture here",
    )


def chosen(found: Mapping[str, Choice], wanted: str, plain: str) -> Choice:
    """The weights to use.

    Parameters
    ----------
    wanted
        A format, or "auto".
    plain
        Format whose tensors were recognised as those of a published network, or "".

    Raises
    ------
    ConsentError
        If what could be used needs consent.
    ModelError
        If nothing can be used; the message says why of each.
    """
    if wanted != "auto" and wanted not in found:
        raise ModelError(
            f"weights={wanted!r}: the package has {', '.join(found)}; choose one or 'auto'."
        )
    able = {kind: choice for kind, choice in found.items() if wanted in ("auto", kind)}
    for kind in KINDS:
        if kind in able and (able[kind].ready or kind == plain):
            return able[kind]
    reasons = [f"{choice.lacking}" for choice in able.values() if choice.lacking]
    programs = [c.program for c in able.values() if c.program is not None and not c.lacking]
    if programs:
        others = f" Or: {'; '.join(reasons)}." if reasons else ""
        raise refusal(programs, others)
    raise ModelError(
        f"None of the package's weights can be used: {'; '.join(reasons)}. State dicts of known "
        "architectures, TorchScript and ONNX can."
    )
