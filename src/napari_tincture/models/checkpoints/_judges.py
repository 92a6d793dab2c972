"""Discriminators, recognised by their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tincture.models.card import Part
from napari_tincture.models.checkpoints._shapes import indices, kernels, norm_of, shapes_of, usual

if TYPE_CHECKING:
    from napari_tincture.models.checkpoints._found import State

WIDEST, WIDEST_HD = 8, 512


def read_judge(state: State) -> Part | None:
    """A discriminator of any family but U-GAT-IT."""
    return read_patch(state) or read_pixel(state) or read_multiscale(state) or read_spade(state)


def read_patch(state: State) -> Part | None:
    """PatchGAN of any number of layers."""
    shapes = shapes_of(state)
    layers = [*kernels(shapes, "model.").values()]
    if len(layers) < 3 or "model.0.weight" not in shapes or {s[-1] for s in layers} != {4}:
        return None
    widths = [shape[0] // min(2**level, WIDEST) for level, shape in enumerate(layers[:-1])]
    options = {"in_channels": layers[0][1], "ndf": usual(widths), "n_layers": len(layers) - 2}
    return Part("patch", {**options, "norm": norm_of(shapes, "model.", 2, 3)})


def read_pixel(state: State) -> Part | None:
    """PixelGAN."""
    shapes = shapes_of(state)
    first = shapes.get("net.0.weight")
    if first is None or first[2:] != (1, 1) or "net.5.weight" not in shapes:
        return None
    norm = norm_of(shapes, "net.", 2, 3)
    return Part("pixel", {"in_channels": first[1], "ndf": first[0], "norm": norm})


def read_multiscale(state: State) -> Part | None:
    """pix2pixHD's discriminators, with or without features between their layers."""
    shapes = shapes_of(state)
    features = any(key.startswith("scale0_layer0.") for key in shapes)
    if features:
        depth = len(indices([k.replace("_layer", ".", 1) for k in shapes], "scale0."))
        count = len({key.partition("_")[0] for key in shapes})
        layers = [shapes.get(f"scale0_layer{n}.0.weight", ()) for n in range(depth)]
        norm = norm_of(shapes, "scale0_layer1.", 0, 1)
    else:
        layers = [*kernels(shapes, "layer0.").values()]
        count = len(indices([key.replace("layer", "layer.", 1) for key in shapes], "layer."))
        norm = norm_of(shapes, "layer0.", 2, 3)
    if len(layers) < 3 or any(len(shape) != 4 or shape[-1] != 4 for shape in layers):
        return None
    options = {
        "in_channels": layers[0][1],
        "ndf": layers[0][0],
        "n_layers": len(layers) - 2,
        "num_D": count,
        "norm": "batch" if norm == "batch" else "instance",
        "features": features,
    }
    return Part("multiscale", options)


def read_spade(state: State) -> Part | None:
    """SPADE's discriminators."""
    shapes = shapes_of(state)
    plain = {key.replace(".weight_orig", ".weight"): shape for key, shape in shapes.items()}
    first, second = (plain.get(f"discriminator_0.model{n}.0.weight") for n in range(2))
    nested = plain.get("discriminator_0.model1.0.0.weight")
    if first is None or len(first) != 4 or (second or nested) is None:
        return None
    batch = "discriminator_0.model1.0.1.weight" in shapes
    stages = {key.split(".")[1] for key in shapes if key.startswith("discriminator_0.model")}
    options = {
        "in_channels": first[1],
        "ndf": first[0],
        "n_layers": len(stages) - 1,
        "num_D": len({key.partition(".")[0] for key in shapes}),
        "norm": ("batch" if batch else "instance") if nested is not None else "none",
        "spectral": len(plain.keys() - shapes.keys()) > 0,
    }
    return Part("spade", options)
