"""The limits that the benchmark prints beside what it measures; README.md says why."""

from __future__ import annotations

from typing import Literal

Limit = tuple[Literal["at most", "at least"], float]

LIMITS: dict[str, dict[str, Limit]] = {
    # networks without reductions over the image
    "local": {
        "seconds / best raw forward": ("at most", 1.3),
        "seconds / raw forward over our windows": ("at most", 1.1),
        "MONAI (0.25) seconds / ours": ("at least", 2.8),
        "MONAI (0.25, our allocator) seconds / ours": ("at least", 2.3),
        "MONAI (0.25) seconds / ours in bfloat16": ("at least", 3.5),
        "max |tiled − whole| / output std": ("at most", 1e-5),
    },
    # networks with reductions over the image, in exact context
    "context": {
        "seconds / best raw forward": ("at most", 1.6),
        "max |tiled − whole| / output std": ("at most", 1e-3),
    },
    # blended by choice
    "blend": {"seconds / best raw forward": ("at most", 1.6)},
    # a field of 2560 × 1920 at published width, on a data-centre GPU
    "cuda": {"seconds": ("at most", 1)},
    "any size": {
        "planning 100,000², seconds": ("at most", 2),
        "planning 100,000², MB": ("at most", 200),
        "peak memory, 4k / 16k / 64k, largest ratio": ("at most", 1.1),
        "to sharded OME-Zarr / without writing": ("at most", 1.15),
        "tiles computed again after a kill at half, %": ("at most", 2),
        "gain of a second process / that of the bare network": ("at least", 0.95),
    },
    "memory": {"peak, sixteen times the area": ("at most", 1.1)},
    "live": {
        "longest hold of the event loop, drawing included, ms": ("at most", 50),
        "of a turn, what the live layers themselves take at most, ms": ("at most", 50),
        "first new tile / its forward pass": ("at most", 1.5),
        "tiles computed that were never on screen": ("at most", 0),
    },
    "compare": {
        "SSIM: scikit-image / ours": ("at least", 40),
        "SSIM without numba: scikit-image / ours": ("at least", 8),
        "SSIM: difference to scikit-image": ("at most", 1e-9),
        "SSIM: MiB above the inputs": ("at most", 200),
        "errors from disk / reading and decoding": ("at most", 1.3),
        "SSIM from disk / reading, and SSIM in memory": ("at most", 1.3),
        "SSIM map of a view, ms": ("at most", 50),
    },
    "training": {
        ": plain / ours": ("at least", 1.3),
        "losses differ, relative": ("at most", 1e-5),
    },
    "strips": {
        "strip by strip / at once, seconds": ("at most", 1.2),
        "strip by strip / at once, memory": ("at most", 0.35),
        "difference of sums": ("at most", 0),
    },
    "segmentation": {
        "weight map, seconds": ("at most", 2),
        "weight map: one transform per cell / ours": ("at least", 200),
        "weight map: largest difference": ("at most", 1e-6),
        "elastic crop of image and labels, ms": ("at most", 10),
        "elastic crop: SciPy / ours": ("at least", 2),
        "elastic crop: largest difference, of values in 0 … 1": ("at most", 1e-3),
    },
    "synthesis": {
        "256², 40 steps, seconds": ("at most", 15),
        "sampler beyond the forward passes, share": ("at most", 0.03),
        "first preview, seconds": ("at most", 1),
        "layout of SDM: drawing / its forward passes alone": ("at most", 1.03),
        "fused canvas / forward passes of its area": ("at most", 1.6),
        "128² changed in 2048² / whole": ("at most", 0.05),
    },
    "startup": {
        "import napari_tincture": ("at most", 0.1),
        "open a widget": ("at most", 0.5),
        "first small job of a warm worker, beyond its forward": ("at most", 0.3),
    },
}
