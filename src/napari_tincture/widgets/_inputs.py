"""Which channels and planes of which layers are a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_tincture.models.card import copies_of_grey
from napari_tincture.raster import Raster


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one input can come from.

    Attributes
    ----------
    layer
        Name of the layer.
    axis
        ``"c"`` or ``"z"``, or empty for the layer as it is.
    index
        Place along the axis.
    name
        What a person reads.
    """

    layer: str
    axis: str
    index: int
    name: str


def origins(rasters: Mapping[str, Raster], chosen: str) -> list[Origin]:
    """List what may be an input: parts of the chosen layer, then those of the others.

    Parameters
    ----------
    rasters
        The layers by name, whose axes are known.
    chosen
        The layer that the panel works on.
    """
    own = _parts(chosen, rasters[chosen], own=True)
    others = [
        part
        for name, raster in rasters.items()
        if name != chosen
        for part in _parts(name, raster, own=False)
    ]
    return own + others


def _parts(layer: str, raster: Raster, *, own: bool) -> list[Origin]:
    if "c" in raster.axes:
        names = raster.channels or [f"channel {i}" for i in range(raster.sizes["c"])]
        before = "" if own else f"{layer} · "
        return [Origin(layer, "c", i, f"{before}{name}") for i, name in enumerate(names)]
    found = [Origin(layer, "", 0, "the layer" if own else layer)]
    if own and raster.sizes.get("z", 1) > 1:
        names = raster.display.get("planes") or [f"z {i}" for i in range(raster.sizes["z"])]
        found += [Origin(layer, "z", i, name) for i, name in enumerate(names)]
    return found


def guess(inputs: Sequence[str], choices: Sequence[Origin], chosen: str) -> list[Origin | None]:
    """Propose an origin per input where there is no doubt; None where a person must choose.

    Names that agree are taken; else as many channels, or z planes, as the model has inputs, in
    their order. Copies of a grey channel are those of a layer that has no other.
    """
    own = [choice for choice in choices if choice.layer == chosen]
    channels = [choice for choice in own if choice.axis == "c"]
    planes = [choice for choice in own if choice.axis == "z"]
    if named := _by_name(inputs, choices):
        return named
    if len(channels) == len(inputs) and not copies_of_grey(inputs):
        return list(channels)
    if not channels and (len(inputs) == 1 or copies_of_grey(inputs)):
        return [own[0]] * len(inputs) if own else [None] * len(inputs)
    if not channels and len(planes) == len(inputs):
        return list(planes)
    return [None] * len(inputs)


def _by_name(inputs: Sequence[str], choices: Sequence[Origin]) -> list[Origin | None]:
    known = {_plain(_part_name(choice)): choice for choice in reversed(choices)}
    found = [known.get(_plain(name)) for name in inputs]
    return found if all(found) else []


def _part_name(choice: Origin) -> str:
    return choice.name.split(" · ")[-1] if choice.axis else choice.layer


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def summary(chosen: Sequence[Origin | None]) -> str:
    """Say in a few words where the inputs come from."""
    known = [origin for origin in chosen if origin is not None]
    if len(known) < len(chosen):
        return f"{len(chosen) - len(known)} of {len(chosen)} to choose"
    layers = {origin.layer for origin in known}
    axes = {origin.axis for origin in known}
    if len(set(known)) == 1:
        return known[0].name
    if len(layers) == 1 and len(axes) == 1:
        kind = {"c": "channels", "z": "z planes"}[axes.pop()]
        places = ", ".join(str(origin.index) for origin in known)
        return f"{kind} {places}"
    return f"from {len(layers)} layers"
