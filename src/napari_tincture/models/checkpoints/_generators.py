"""Generators that several families share, recognised by their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.models.card import Part
from napari_tincture.models.checkpoints._shapes import indices, kernels, norm_of, shapes_of, usual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import State
    from napari_tincture.models.checkpoints._shapes import Shape

STACK = "model."
BLOCK = ".conv_block."


def read_hourglass(state: State) -> dict[str, Any] | None:
    """Options of a stack of convolutions that halve, residual blocks, and those that double.

    CycleGAN's, pix2pixHD's and Bayesian CycleGAN's are such stacks. None for any other network.
    """
    shapes = shapes_of(state)
    layers = kernels(shapes, STACK)
    blocks = indices(shapes, STACK, BLOCK)
    sides = [shape[-1] for shape in layers.values()]
    wide = [shape for shape in layers.values() if shape[-1] == 7]
    if len(wide) != 2 or sides[0] != 7 or sides[-1] != 7 or set(sides[1:-1]) - {3}:
        return None
    if len(sides) % 2 or len(sides) < 4 or 1 not in layers:
        return None
    first, last = wide
    options = {
        "in_channels": first[1],
        "out_channels": last[0],
        "ngf": _width(list(layers.values())),
        "downsamplings": len(sides) // 2 - 1,
        "n_blocks": len(blocks),
        "norm": norm_of(shapes, STACK, 4, 5),
        "bias": f"{STACK}4.bias" in shapes,
    }
    return options | _inside(shapes, blocks)


def _width(layers: list[Shape]) -> int:
    depth = len(layers) // 2
    said = [layers[0][0], layers[-1][1]]
    for level in range(1, depth):
        said += [layers[level][0] // 2**level, layers[-1 - level][0] // 2**level]
    return usual(said)


def _inside(shapes: Mapping[str, Shape], blocks: list[int]) -> dict[str, Any]:
    """Padding and dropout of the blocks, from the places of their convolutions."""
    if not blocks:
        return {"padding": "reflect", "dropout": False}
    first, *_, last = kernels(shapes, f"{STACK}{blocks[0]}{BLOCK}")
    padding = "reflect" if first == 1 else "zero"
    return {"padding": padding, "dropout": last - first == (5 if padding == "reflect" else 4)}


def as_resnet(options: Mapping[str, Any]) -> Part | None:
    """CycleGAN's generator: two halvings, and no bias beside a batch norm."""
    if options["downsamplings"] != 2 or (options["norm"] == "batch" and options["bias"]):
        return None
    names = ("in_channels", "out_channels", "ngf", "n_blocks", "norm", "dropout", "padding")
    return Part("resnet_generator", {name: options[name] for name in names})


def as_global(options: Mapping[str, Any], architecture: str) -> Part | None:
    """pix2pixHD's or Bayesian CycleGAN's generator: biases everywhere, and no dropout."""
    if not options["bias"] or options["dropout"] or options["padding"] != "reflect":
        return None
    found = {name: options[name] for name in ("in_channels", "out_channels", "ngf", "norm")}
    shape = {
        "n_downsample_global": options["downsamplings"],
        "n_blocks_global": options["n_blocks"],
    }
    return Part(architecture, {**found, **shape})


def read_unet(state: State) -> Part | None:
    """pix2pix's generator, of any depth."""
    shapes = shapes_of(state)
    outer, inner, place = shapes.get("model.model.0.weight"), [], "model.model.1"
    while f"{place}.model.1.weight" in shapes:
        inner.append(shapes[f"{place}.model.1.weight"])
        place += ".model.3"
    last = shapes.get("model.model.3.weight")
    if outer is None or last is None or len(outer) != 4 or len(last) != 4 or len(inner) < 4:
        return None
    said = [outer[0], last[0] // 2, *(s[0] // min(2**n, 8) for n, s in enumerate(inner, 1))]
    return Part(
        "unet_generator",
        {
            "in_channels": outer[1],
            "out_channels": last[1],
            "num_downs": len(inner) + 1,
            "ngf": usual(said),
            "norm": norm_of(shapes, "model.model.1.model.", 1, 2),
            "dropout": True,
            "batch_statistics": False,
        },
    )


def read_translator(state: State) -> Part | None:
    """A generator of CycleGAN or pix2pix."""
    options = read_hourglass(state)
    return read_unet(state) if options is None else as_resnet(options)
