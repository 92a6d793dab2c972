"""How a network's feature maps grow with the image: stride, reductions, and what cannot be tiled.

A network is traced at three sizes. A feature map that grows by ``D / s`` when the image grows by
``D`` lies at stride ``s``; a call that takes growing axes and returns none is a reduction over the
image; and what is neither pointwise, local nor a reduction cannot be tiled exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from torch import nn

from napari_tincture.errors import ModelError, TinctureError
from napari_tincture.tiling.trace import Call, Shape, Site, Tracer, trace

Triple = tuple[Call, Call, Call]
"""The same call at a small, a wide and a high image."""
Growing = dict[int, str]
"""Axes, from the end, that grow with the image's width ("x"), height ("y") or both ("yx")."""

SIZES = (64, 96, 128, 192, 224, 256, 384, 512, *range(257, 320), 1024)
"""Sides in pixels that are tried, until one is legal."""
LIKE = ("to", "type_as", "view_as", "expand_as")
"""Calls that take nothing from their second tensor but its type or shape."""


REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, TinctureError)
"""What networks raise for sizes that they do not accept."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What three traces tell.

    Attributes
    ----------
    base
        A legal side length in pixels.
    stride, margin, remainder
        As in `napari_tincture.grid.Geometry`.
    jump
        Longest distance in pixels between two taps of one kernel.
    sites
        Reductions over the image, in order.
    reasons
        Why tiles cannot give the whole image's values; empty if they can.
    """

    base: int
    stride: int
    margin: int
    remainder: int
    jump: int
    sites: tuple[Site, ...]
    reasons: tuple[str, ...]


def grow(network: nn.Module, channels: int) -> Growth:
    """Trace `network` at three sizes and tell strides, global reductions and hindrances.

    Raises
    ------
    ModelError
        The network accepts no size that was tried, or changes the size of the image.
    """
    # Not remembered: a program takes other steps once torch has seen it run.
    run = partial(trace, network, channels)
    try:
        return _grow(run, ())
    except ModelError as error:
        if "meta" not in str(error.__cause__).lower():
            raise
        # Steps that depend on values cannot be traced without computing.
        reason = f"the network's steps may depend on the image's values ({error.__cause__})"
        return _grow(partial(run, device="cpu"), (reason,))


def _grow(run: Tracer, reasons: tuple[str, ...]) -> Growth:
    base, margin = _first_legal(run)
    step = base if margin == 0 else 512
    small, wide, high = run(base, base), run(base, base + step), run(base + step, base)
    names = [call.name for call in small]
    if names != [call.name for call in wide] or names != [call.name for call in high]:
        other = "the network takes other steps at other image sizes"
        return Growth(base, base, margin, 0, 0, (), (*reasons, other))
    triples = list(zip(small, wide, high, strict=True))
    stride = math.lcm(*(s for t in triples for s in _strides(t, step)))
    sites, found = _judge(triples)
    # Where steps may differ from run to run, calls cannot be told by their number.
    sites = () if reasons else sites
    jumps = (math.ceil(c.jump * base / min(c.inputs[0][-2:])) for c in small if c.jump)
    return Growth(
        base, stride, margin, base % stride, max(jumps, default=0), sites, (*reasons, *found)
    )


def _first_legal(run: Tracer) -> tuple[int, int]:
    """A side that the network accepts, and the margin by which its output is smaller."""
    problem: Exception | None = None
    for size in SIZES:
        try:
            margin = _margin(run, size)
            # A side that is rounded down to the stride looks like a margin, but only once.
            if margin == 0 or _margin(run, size + 512) == margin:
                return size, margin
        except REFUSALS as error:
            problem = problem or error
    raise ModelError(
        f"The network accepts no image of {SIZES[0]} to {SIZES[-1]} pixels. At {SIZES[0]} it said: "
        f"{problem}. Expected a module that maps (batch, channel, y, x) to (batch, channel, y, x) "
        "with the number of input channels that its card names."
    ) from problem


def _margin(run: Tracer, size: int) -> int:
    output = run(size, size)[-1].outputs[0]
    lost, odd = divmod(size - output[-1], 2)
    if len(output) != 4 or lost < 0 or odd or output[-1] != output[-2]:
        raise ModelError(
            f"The network made {output} out of an image of {size} × {size} pixels. Expected "
            "(batch, channel, y, x) of the same size, or smaller by the same margin on all sides"
        )
    return lost


def _strides(triple: Triple, step: int) -> Iterator[int]:
    small, wide, high = triple
    for shapes in zip(small.outputs, wide.outputs, high.outputs, strict=True):
        for size, wider, higher in zip(*shapes, strict=True):
            # An axis into which both sides were flattened tells nothing.
            if (wider == size) != (higher == size):
                yield Fraction(step, max(wider, higher) - size).numerator


def _growing(shapes: tuple[Shape, Shape, Shape]) -> Growing:
    small, wide, high = shapes
    kinds = {}
    for axis in range(-len(small), 0):
        kind = "y" * (high[axis] != small[axis]) + "x" * (wide[axis] != small[axis])
        if kind:
            kinds[axis] = kind
    return kinds


def _judge(triples: list[Triple]) -> tuple[tuple[Site, ...], tuple[str, ...]]:
    sites: list[Site] = []
    reasons: dict[str, None] = {}
    merged: dict[int, int] = {}
    for index, triple in enumerate(triples):
        small, wide, high = triple
        inputs = [_growing(s) for s in zip(small.inputs, wide.inputs, high.inputs, strict=True)]
        if small.name in LIKE:
            inputs = inputs[:1]
        outputs = [_growing(s) for s in zip(small.outputs, wide.outputs, high.outputs, strict=True)]
        _note_merged(merged, small, inputs, outputs)
        site = _site(index, triple, inputs, merged)
        if isinstance(site, Site):
            sites.append(site)
            continue
        reason = site or small.inexact or _hindrance(small, inputs, outputs)
        if reason:
            reasons[reason] = None
    return tuple(sites), tuple(reasons)


def _note_merged(
    merged: dict[int, int], call: Call, inputs: list[Growing], outputs: list[Growing]
) -> None:
    """Note how many positions lie before y and x in an axis that a call flattened; 0: unknown."""
    if call.kind != "move" or not inputs or not outputs:
        return
    place = {kind: axis for axis, kind in inputs[0].items()}
    for axis, kind in outputs[0].items():
        if kind == "yx" and "y" in place and "x" in place:
            before, after = call.inputs[0], call.outputs[0]
            length = after[axis]
            count, rest = divmod(length, before[place["y"]] * before[place["x"]])
            last = math.prod(before[place["x"] :][1:]) == math.prod(after[axis:][1:])
            known = count if place["y"] + 1 == place["x"] and last and not rest else 0
            merged[length] = known if merged.get(length, known) == known else 0


def _site(
    index: int, triple: Triple, inputs: list[Growing], merged: dict[int, int]
) -> Site | str | None:
    """The reduction over the image that a call is, or why it cannot be taken apart."""
    if not inputs or not inputs[0]:
        return None
    name = triple[0].name
    axes = tuple(sorted(inputs[0], key=lambda axis: inputs[0][axis], reverse=True))
    # A kernel as large as the map is a plain pooling layer that reduces at one size only.
    if any(call.reduced is None or not set(axes) <= set(call.reduced) for call in triple):
        return None
    kinds = [inputs[0][axis] for axis in axes]
    sides = [[call.inputs[0][axis] for axis in axes] for call in triple]
    # An image of twice the width has a map of twice the width, unless the map has a border.
    if any(2 * a not in (b, c) for a, b, c in zip(*sides, strict=True)):
        return f"{name} reduces over a map that has a border of its own"
    if kinds == ["y", "x"]:
        return Site(index, name, axes)
    count = merged.get(triple[0].inputs[0][axes[0]], 0)
    if kinds == ["yx"] and count:
        return Site(index, name, axes, count)
    if kinds == ["yx"]:
        return f"{name} reduces pixels that were flattened in another order than (…, y, x)"
    return None


def _hindrance(call: Call, inputs: list[Growing], outputs: list[Growing]) -> str | None:
    if call.kind == "constant":
        return None
    taken = set("".join(kind for kinds in inputs for kind in kinds.values()))
    given = set("".join(kind for kinds in outputs for kind in kinds.values()))
    if call.name in ("flip", "roll") and _mixes(call, inputs):
        return f"{call.name} moves pixels from one border of the image to another"
    if call.kind == "product" or call.name.endswith(("softmax", "attention")):
        if _mixes(call, inputs):
            return f"{call.name} mixes all positions of the image (self-attention or the like)"
    elif _mixes(call, inputs) or not taken <= given:
        return f"{call.name} reduces over the image in a way that tiles cannot add up"
    if call.kind is None and taken:
        return f"what {call.name} does to an image is not known"
    return _coordinates(call, outputs) if not taken else None


def _mixes(call: Call, inputs: list[Growing]) -> bool:
    return any(axis in inputs[number] for number, axis in call.mixed)


def _coordinates(call: Call, outputs: list[Growing]) -> str | None:
    """A map as large as the image that is made from something else, and not the same all over."""
    source = call.inputs[0] if call.inputs else None
    for axis in (axis for growing in outputs for axis in growing):
        if source is None or (len(source) >= -axis and source[axis] != 1):
            return (
                f"{call.name} gives pixels values by their position, which depend on the size of "
                "the image"
            )
    return None
