"""One way to run one network over one large image, in a process of its own.

``python -m benchmarks.contender '{"how": "stream", ...}'`` prints one JSON line. A process per
measurement gives each its own allocator settings and its own peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import napari_tincture as nt
from napari_tincture import device as dv
from napari_tincture import samples
from napari_tincture.grid import Grid
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.engine import Engine
from napari_tincture.tiling.inputs import Inputs
from napari_tincture.tiling.job import Plan, TileJob
from napari_tincture.tiling.reach import reach_of
from napari_tincture.tiling.stream import stream
from napari_tincture.torch_settings import full_precision

MONAI_WINDOW = 512
WARM_SIDE = 3072
"""Our small run has a window of every size, as the others' have with less."""


def main() -> None:
    """Run the contender that the command line describes."""
    job = json.loads(sys.argv[1])
    if job.pop("tuned"):
        dv.tune_allocator()
    print(json.dumps(run(**job)))


def run(
    *, how: str, model: str, size: int, whole: str | None = None, **options: Any
) -> dict[str, Any]:
    """Run one contender once warm; seconds, peak memory, and the difference from the whole."""
    found = nt.load_model(model)
    inputs = map_channels(samples.mosaic(size), found.card)
    contender = _CONTENDERS[how](found, inputs, **options)
    device = options.get("device", "cpu")
    contender(True)  # a small run: kernels are chosen, pages are mapped
    before = _peak()
    _synchronise(device)
    start = time.perf_counter()
    output = contender(False)
    _synchronise(device)
    seconds = time.perf_counter() - start
    result: dict[str, Any] = {"seconds": seconds, "peak": _peak(), "before": before}
    if torch.cuda.is_available():
        result["cuda_peak"] = torch.cuda.max_memory_allocated()
    if whole and isinstance(output, np.ndarray):
        if how == "whole":
            np.save(whole, output)
        result |= _difference(output, np.load(whole, mmap_mode="r"))
    return result


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _difference(output: np.ndarray, whole: np.ndarray) -> dict[str, float]:
    largest = max(
        float(np.abs(output[:, y : y + 512] - whole[:, y : y + 512]).max())
        for y in range(0, output.shape[1], 512)
    )
    return {"max": largest, "std": float(np.std(whole))}


Contender = Callable[[bool], Any]


def _image(model: Any, inputs: Inputs, device: str) -> Tensor:
    """The whole image as the network takes it, (1, c, y, x), in memory."""
    height, width = inputs.shape
    values = inputs.read(inputs.planes[0], slice(0, height), slice(0, width))
    stats = model.measure(values)
    parts = [
        model.normalise(torch.from_numpy(values[None, :, y : y + 512]), stats[None])
        for y in range(0, height, 512)
    ]
    return torch.cat(parts, 2).to(device)


def _small(image: Tensor) -> Tensor:
    return image[:, :, :1024, :1024]


def _whole(model: Any, inputs: Inputs, device: str = "cpu") -> Contender:
    image = _image(model, inputs, device).contiguous(memory_format=torch.channels_last)
    network = model.network.to(device).to(memory_format=torch.channels_last)

    def contender(warm: bool) -> np.ndarray | None:
        if warm:
            return None
        with torch.inference_mode(), full_precision():
            return network(image)[0].float().cpu().contiguous().numpy()

    return contender


def _tuned(model: Any, device: str) -> Callable[[Tensor], Tensor]:
    """The network alone, as our engine runs it."""
    return Engine(model, reach_of(model), device).network


def _raw(model: Any, inputs: Inputs, tile: int, device: str = "cpu") -> Contender:
    """The network over the same pixels without overlap, tuned as ours is; nothing else."""
    image = _image(model, inputs, device).contiguous(memory_format=torch.channels_last)
    network = _tuned(model, device)

    def contender(warm: bool) -> None:
        source = _small(image) if warm else image
        with torch.inference_mode(), full_precision():
            for y in range(0, source.shape[2], tile):
                for x in range(0, source.shape[3], tile):
                    window = source[:, :, y : y + tile, x : x + tile]
                    network(window.contiguous(memory_format=torch.channels_last))

    return contender


def _windows(model: Any, inputs: Inputs, device: str = "cpu") -> Contender:
    """The network over our windows; nothing else."""
    image = _image(model, inputs, device).contiguous(memory_format=torch.channels_last)
    network = _tuned(model, device)
    grid = _grid(model, inputs)

    def contender(warm: bool) -> None:
        tiles = [grid[i, j] for i in (0, 1) for j in (0, 1)] if warm else list(grid)
        with torch.inference_mode(), full_precision():
            for tile in tiles:
                window = image[:, :, slice(*tile.y.window), slice(*tile.x.window)]
                network(window.contiguous(memory_format=torch.channels_last))

    return contender


def _grid(model: Any, inputs: Inputs) -> Grid:
    return TileJob(inputs, model, Plan()).grid


def _stream(
    model: Any, inputs: Inputs, device: str = "cpu", precision: str = "auto", context: str = "auto"
) -> Contender:
    """Our job into memory, reading and normalising included."""
    small = Inputs(
        tuple(type(lane)(_corner(lane.raster), lane.at) for lane in inputs.lanes), inputs.leading
    )

    def contender(warm: bool) -> np.ndarray:
        source = small if warm else inputs
        plan = Plan(device=device, precision=precision, context=context)  # type: ignore[arg-type]
        job = TileJob(source, model, plan)
        result = np.empty((len(model.card.outputs), *source.shape), np.float32)

        def write(item: Any, block: np.ndarray) -> None:
            result[(slice(None), *job.grid.place(item[1]))] = block

        stream(job, write)
        return result

    return contender


_CORNERS: dict[int, Any] = {}


def _corner(raster: Any) -> Any:
    """The same crop for all lanes of one raster, so that they are read together."""
    if id(raster) not in _CORNERS:
        _CORNERS[id(raster)] = raster.crop({"y": slice(0, WARM_SIDE), "x": slice(0, WARM_SIDE)})
    return _CORNERS[id(raster)]


def _monai(model: Any, inputs: Inputs, overlap: float, device: str = "cpu") -> Contender:
    """MONAI's sliding window as its users run it: defaults, four windows at a time."""
    from monai.inferers import SlidingWindowInferer

    image = _image(model, inputs, device)
    network = model.network.to(device)
    inferer = SlidingWindowInferer(
        roi_size=(MONAI_WINDOW, MONAI_WINDOW), sw_batch_size=4, overlap=overlap
    )

    def contender(warm: bool) -> np.ndarray:
        with torch.inference_mode(), full_precision():
            result = inferer(_small(image) if warm else image, network)
            return result[0].float().cpu().numpy()

    return contender


def _to_disk(model: Any, inputs: Inputs, path: str, device: str = "cpu") -> Contender:
    """What a user does with a slide: stain it and save it."""
    size = inputs.shape[0]

    def contender(warm: bool) -> None:
        image = samples.mosaic(min(size, 1024) if warm else size)
        target = Path(path) / ("warm.ome.zarr" if warm else "result.ome.zarr")
        nt.stain(image, model, device=device).save(target, overwrite=True)

    return contender


_CONTENDERS: dict[str, Callable[..., Contender]] = {
    "whole": _whole,
    "raw": _raw,
    "windows": _windows,
    "stream": _stream,
    "monai": _monai,
    "to_disk": _to_disk,
}


def halo_share(model: str, size: int) -> dict[str, float]:
    """How many tiles our job makes of an image, and how many pixels it computes per pixel."""
    found = nt.load_model(model)
    grid = _grid(found, map_channels(samples.mosaic(size), found.card))
    return {"tiles": len(grid), "share": grid.window_share, "halo": grid.geometry.halo}


if __name__ == "__main__":
    main()
