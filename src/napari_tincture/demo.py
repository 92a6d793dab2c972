"""The main job on real data: ``python -m napari_tincture.demo --out demo [--size 16384]``.

Label-free neurons are stained, their nuclei found, both compared with the real fluorescence on
columns that the model never saw, and everything shown in napari.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.display import has_display, virtual_display

if TYPE_CHECKING:
    import napari

STAIN, DAPI = "phase-to-dapi", "DAPI"
NUCLEI = "nuclei"
SIDE = 1024
FIELD = {"y": slice(0, SIDE), "x": slice(0, SIDE)}
UNSEEN = {"y": slice(0, SIDE), "x": slice(768, SIDE)}
"""Columns of the field on which no model was trained or chosen."""
WINDOW = (1600, 1080)


@dataclass(frozen=True, slots=True)
class Scenes:
    """What the demonstration made of the field, or of a mosaic that begins with it."""

    phase: nt.Raster
    stained: nt.Raster
    nuclei: nt.Raster
    reference: nt.Raster
    reference_nuclei: nt.Raster  # of the field alone


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demonstration from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results")
    parser.add_argument("--size", type=int, help="side of a mosaic of the field, in pixels")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    options = parser.parse_args(arguments)
    if options.size is not None and options.size < SIDE:
        parser.error(f"--size {options.size}: give at least {SIDE}, the side of the field itself")
    options.out.mkdir(parents=True, exist_ok=True)
    scenes = make_scenes(options.out, options.size, options.device)
    report(scenes, options.out, options.size, options.device)
    show(scenes, options.out / "napari.png")


def make_scenes(out: Path, size: int | None, device: str) -> Scenes:
    """Stain and segment the field or a mosaic of it, and its real fluorescence; save all."""
    phase = samples.neuron_phase() if size is None else samples.mosaic(size)
    real = samples.neuron_dapi() if size is None else samples.mosaic(size, of="neuron_dapi")
    reference = as_target(real)
    height, width = phase.shape[-2:]
    print(f"Staining {width} × {height} px of label-free phase contrast with {STAIN!r}", flush=True)
    stained = saved(nt.stain(phase, STAIN, device=device), out / "stain.ome.zarr")
    print(f"Finding nuclei in the virtual stain with {NUCLEI!r}", flush=True)
    dapi = stained.plane(c=stained.channels.index(DAPI))
    nuclei = saved(nt.segment(stained, NUCLEI, device=device), out / "nuclei.ome.zarr")
    print("Finding nuclei in the real fluorescence", flush=True)
    expected = nt.segment(reference.crop(FIELD), NUCLEI, device=device)
    expected = saved(expected, out / "reference_nuclei.ome.zarr")
    return Scenes(phase, dapi, nuclei, reference, expected)


def saved(raster: nt.Raster, path: Path) -> nt.Raster:
    """Compute a raster onto disk, in bounded memory, and open what was written."""
    start = time.monotonic()
    raster.save(path, progress=True, overwrite=True)
    seconds = time.monotonic() - start
    height, width = raster.shape[-2:]
    print(f"  {path}: {seconds:.1f} s, {height * width / 1e6 / seconds:.2f} Mpx/s", flush=True)
    return nt.open_image(path)


def as_target(reference: nt.Raster) -> nt.Raster:
    """Map the real fluorescence to the range that the model was trained to give."""
    card = nt.load_model(STAIN).card
    index = [output.name for output in card.outputs].index(DAPI)
    target = card.recipe["data"]["targets"][index]
    low, high = float(target["low"]), float(target["high"])
    levels = tuple((level.astype(np.float32) - low) / (high - low) for level in reference.levels)
    display = {**reference.display, "limits": [[0.0, 1.0]]}
    return replace(reference, levels=levels, source=None, display=display)


def report(scenes: Scenes, out: Path, size: int | None, device: str) -> None:
    """Print the figures of the demonstration; write all of them, with maps, to a page."""
    found = nt.compare(
        scenes.stained, scenes.reference, region=UNSEEN, data_range=1.0, align="check", maps=True
    )
    row = found.table[0]
    columns = f"{UNSEEN['x'].start}–{UNSEEN['x'].stop - 1}"
    print(f"\nVirtual against real DAPI, columns {columns}, which the model never saw")
    print(f"  Pearson correlation {row['pearson']:.3f}")
    print(f"  SSIM                {row['ssim']:.3f}")
    print(f"  PSNR                {row['psnr']:.1f} dB")
    print(f"  MSE                 {row['mse']:.5f}")
    for note in found.notes:
        print(f"  {note}")
    found_nuclei = scenes.nuclei.crop(FIELD)
    nuclei = nt.compare(found_nuclei, scenes.reference_nuclei, region=UNSEEN).table[0]
    matched = round(nuclei["recall_50"] * nuclei["expected"])
    print("Nuclei of the virtual stain against nuclei of the real DAPI, same columns, IoU > 0.5")
    print(f"  {matched} matched of {nuclei['found']} found and {nuclei['expected']} expected")
    print(
        f"  precision {nuclei['precision_50']:.2f}, recall {nuclei['recall_50']:.2f}, "
        f"F1 {nuclei['f1_50']:.2f}"
    )
    print(f"Report: {found.report(out / 'comparison.html')}")
    quarter = scenes.phase.crop({axis: slice(0, SIDE // 2) for axis in "yx"})
    seams = nt.seam_error(nt.load_model(STAIN), quarter, tile=SIDE // 4, device=device)
    print(f"Tiled against whole, on a quarter of the field: at most {seams.max:.1e} apart")
    if size is not None:
        print(f"Peak memory of this process: {peak_memory() / 2**30:.2f} GiB")
    print(flush=True)


def peak_memory() -> int:
    """Bytes of memory that this process held at most."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def show(scenes: Scenes, picture: Path) -> None:
    """Open the scenes in a napari window, take its picture, and leave it to a person if any."""
    stays = has_display() and not os.environ.get("CI") and not os.environ.get("QT_QPA_PLATFORM")
    with virtual_display():
        import napari

        viewer = napari.Viewer(title="napari-tincture", show=False)
        arrange(viewer, scenes)
        take_picture(viewer, picture)
        print(f"Screenshot: {picture}", flush=True)
        if stays:
            napari.run()
        else:
            viewer.close()


def arrange(viewer: napari.Viewer, scenes: Scenes) -> None:
    """Put input, stain, reference and nuclei side by side, with the Stain panel."""
    scenes.phase.add_to(viewer)
    scenes.stained.add_to(viewer)
    scenes.reference.add_to(viewer)
    scenes.nuclei.add_to(viewer)
    names = ("phase contrast", "virtual DAPI", "real DAPI", "nuclei of the virtual DAPI")
    for layer, name in zip(viewer.layers, names, strict=True):
        layer.name = name
        layer.name_overlay.visible = True
    for layer in list(viewer.layers)[1:3]:
        layer.colormap, layer.contrast_limits = "bop blue", (0, 1)
    viewer.dims.set_current_step(0, scenes.phase.shape[0] // 2)
    viewer.layers.selection.active = viewer.layers[0]
    # napari 0.9 moved the grid to the canvas.
    grid = getattr(viewer, "canvas", viewer).grid
    grid.shape, grid.stride, grid.enabled = (2, 2), 1, True
    viewer.window.add_plugin_dock_widget("napari-tincture", "Stain")


def take_picture(viewer: napari.Viewer, picture: Path) -> None:
    """Save what the whole window shows, once it is laid out."""
    from qtpy.QtWidgets import QApplication

    viewer.window.show()
    viewer.window.resize(*WINDOW)
    for _ in range(20):
        QApplication.processEvents()
    viewer.reset_view()
    viewer.screenshot(str(picture), canvas_only=False, flash=False)


if __name__ == "__main__":
    main()
