"""Saves a result again and again, each time killed at a random call to the file system.

Run as a script: it imports everything once, then forks a process per attempt, which dies by
SIGKILL just before its n-th opening, renaming or removing of a file of the result.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from models import image_of, model_of
from networks import EXACT, Fn

from napari_tincture import open_image, segment, stain
from napari_tincture.io import layout, pyramid_store, save  # noqa: F401 - before the forks
from napari_tincture.models import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.tiling.reach import reach_of
from napari_tincture.tiling.trim import trim_points

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def raster_of(kind: str):
    """A lazy result of each kind, the same in every process."""
    layout.SHARD, layout.CHUNK = 128, 32
    if kind == "labels":
        spots = image_of((3, 260, 330), "float32")
        as_it_is = model_of(
            Fn(lambda self, x: x), 3, 3, task="segment", normalisation=Normalisation("none"),
            instances={"threshold": 0.5, "largest": 40},
        )  # fmt: skip
        return segment(open_image(spots, axes="zyx"), as_it_is, tile=64)
    model = model_of(EXACT["unet" if kind == "plain" else "resnet"]())
    trim_points(model.network, 2, reach_of(model))  # once for all attempts
    image = open_image(image_of((2, 2, 260, 330)), axes="zcyx")
    return stain(image, model, tile=64, context="exact")


def attempt(raster: Raster, path: Path, fatal: int | None) -> int | None:
    """Save in a process of its own; the signal that ended it, if any did."""
    child = os.fork()
    if child == 0:
        try:
            if fatal is not None:
                _die_at(fatal, path)
            raster.save(path)
        except BaseException as error:  # noqa: BLE001 - told by the exit code
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        raise SystemExit(f"an attempt failed with {os.WEXITSTATUS(status)}")
    return None


def _die_at(fatal: int, path: Path) -> None:
    left = [fatal]

    def hook(event: str, arguments: tuple) -> None:
        if event in EVENTS and str(arguments[0]).startswith(str(path)):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(kind: str, folder: str, trials: str, seed: str) -> None:
    torch.set_num_threads(1)  # a pool of threads would not survive a fork
    raster, random_ = raster_of(kind), random.Random(int(seed))
    found = {"kills": 0, "left": 0}
    for trial in range(int(trials)):
        path, most = Path(folder) / f"{trial}.ome.zarr", 40
        while not path.exists():
            attempt(raster, path, random_.randint(1, most))
            found["kills"] += not path.exists()
            most += 40  # finding out what is finished takes calls, too
        found["left"] += sum(1 for p in Path(folder).iterdir() if p.name.endswith(".partial"))
    attempt(raster, Path(folder) / "whole.ome.zarr", None)
    print(json.dumps(found))


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main(*sys.argv[1:])
