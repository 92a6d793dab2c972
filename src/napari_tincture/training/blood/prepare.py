"""Domains for virtual Wright-Giemsa staining: ``python -m napari_tincture.training.blood.prepare``.

Label-free blood with its stain is one field, so the source is simulated from stained smears
(`unstaining`). Source and target are made of different smears. Both are resampled so that single
red cells are as wide as in the real field: medians by `cell_diameters` of 94.2 px in the smears
(128 cells) and 43.1 px in the field (22 cells).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_tincture.durable import write_json
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.io.png import write_png
from napari_tincture.training.blood.debris import VISIBLE, debris_density, shaded
from napari_tincture.training.blood.unstaining import (
    FIELD_DIAMETER,
    SMEAR_DIAMETER,
    empty_field,
    recorded,
    simulated_pair,
    transmission,
)

Floats = NDArray[np.floating[Any]]
FOLDER = "blood_smear_wright_giemsa"
DENSE_DEBRIS, SPARSE_DEBRIS = (1, 5), (0, 2)
"""Fewest and most objects of an image."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the domains are made with.

    Attributes
    ----------
    diameter
        To which red cells are resampled, pixels; 0 keeps the smears' own size.
    sparse
        Share of the training images out of which most cells are taken: smears are covered by
        39 to 68 %, the real field by 8 %, and instance norm sees the difference.
    seed
        Of all draws, with the number of the smear.
    pairs
        Whether pairs are made of the target's smears, too, for families that learn from pairs.
    """

    diameter: float = FIELD_DIAMETER
    sparse: float = 0.5
    seed: int = 0
    pairs: bool = False


def split_smears(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Smears by use: "source" and "target" (training), "validation", "test".

    Numbers ending in 8 or 9 are for testing, those ending in 7 for validation, and the others
    go by turns to the source and to the target.

    Raises
    ------
    InputError
        If a name has no number, or a domain stays empty.
    """
    parts: dict[str, list[Path]] = {"source": [], "target": [], "validation": [], "test": []}
    rest: list[Path] = []
    for path in sorted(paths):
        number = re.search(r"(\d)$", path.stem)
        if number is None:
            raise InputError(f"{path.name} does not end in a number, by which smears are split.")
        part = {"8": "test", "9": "test", "7": "validation"}.get(number[1])
        (parts[part] if part else rest).append(path)
    parts["source"], parts["target"] = rest[::2], rest[1::2]
    if not parts["target"]:
        raise InputError(
            f"{len(paths)} smears give no source and target: at least two are needed whose "
            "numbers do not end in 7, 8 or 9."
        )
    return parts


def cell_diameters(grey: Floats, least: float) -> list[float]:
    """Equivalent diameters of single, whole, round cells, pixels.

    Parameters
    ----------
    grey
        Cells dark on bright, (y, x), any unit; the green channel of a smear.
    least
        Smaller objects are no cells, pixels.
    """
    from skimage.filters import threshold_otsu
    from skimage.measure import label, regionprops

    density = -np.log(ndi.gaussian_filter(np.asarray(grey, np.float64), 1.0) + 1.0)
    cells = ndi.binary_fill_holes(density > threshold_otsu(density))
    labels = label(ndi.binary_opening(cells, iterations=2))
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    found = []
    for region in regionprops(labels):
        single = region.solidity > 0.95 and region.eccentricity < 0.75
        if single and region.label not in rim and region.equivalent_diameter_area > least:
            found.append(float(region.equivalent_diameter_area))
    return found


def removal(
    empty: NDArray[np.bool_], seed: int, *, diameter: float,
    cover: tuple[float, float] = (0.03, 0.25),
) -> Floats:  # fmt: skip
    """Which objects to take out of a field: (y, x), 0 to 1 with a soft edge.

    Parameters
    ----------
    empty
        Where none is, (y, x).
    seed
        Of the choice.
    diameter
        Of a red cell, pixels.
    cover
        Range of the share of the field that objects may cover afterwards. It is drawn; then
        objects stay, in random order, as long as there is room for them.
    """
    draw = np.random.default_rng((seed, 3))
    labels, count = ndi.label(~empty)
    areas = ndi.sum_labels(~empty, labels, np.arange(count + 1))
    room = draw.uniform(*cover) * empty.size
    kept = np.zeros(count + 1, bool)
    for number in draw.permutation(count) + 1:
        if areas[number] <= room:
            kept[number] = True
            room -= areas[number]
    stays = kept[labels]
    gone = ~empty & ~stays
    # Halos of cells are wider than the cells, but a neighbour that stays keeps its own.
    near = ndi.distance_transform_edt(~gone) if gone.any() else np.full(empty.shape, np.inf)
    theirs = ndi.distance_transform_edt(~stays) if stays.any() else np.full(empty.shape, np.inf)
    wide = (near < 0.2 * diameter) & (near < theirs)
    return np.asarray(np.clip(ndi.gaussian_filter(wide.astype(float), 0.03 * diameter), 0, 1))


def painted_over(
    rgb: Floats, weight: Floats, empty: NDArray[np.bool_], seed: int, diameter: float
) -> Floats:
    """The smear (y, x, 3) with nearby background, and its noise, where `weight` (y, x) is 1."""
    sure = ndi.distance_transform_edt(empty) > 0.12 * diameter
    background = np.empty(rgb.shape)
    for channel in range(3):
        # Where none is near, the image's median.
        values = np.full(empty.shape, 1e-6 * np.median(rgb[empty, channel]))
        known = np.full(empty.shape, 1e-6)
        for scale, share in ((0.3, 1.0), (1.0, 1e-3)):
            spread = scale * diameter
            values += share * ndi.gaussian_filter(np.where(sure, rgb[..., channel], 0.0), spread)
            known += share * ndi.gaussian_filter(sure.astype(float), spread)
        background[..., channel] = values / known
    noise = np.random.default_rng((seed, 5)).normal(0.0, 1.0, rgb.shape)
    background += noise * np.minimum((rgb - background)[sure].std(axis=0), 1.5)
    part = weight[..., None]
    return np.asarray(np.clip(rgb * (1.0 - part) + background * part, 0.0, 255.0))


def prepare(smears: Path, out: Path, settings: Settings | None = None) -> dict[str, Any]:
    """Write source, target and debris of every part below `out`, and ``manifest.json``.

    Parameters
    ----------
    smears
        Folder of stained smears, RGB.
    out
        ``train/{source,source_debris,target,target_debris}`` are unpaired,
        ``validation``, ``test`` and, if wanted, ``pairs`` hold pairs: ``{source,target,debris}``.
        Masks are 0 and 255.

    Returns
    -------
    dict
        The manifest: settings, the smears of each part, and the files with their seeds.

    Raises
    ------
    InputError
        If the folder has too few smears, or one cannot be used (it is named).
    """
    settings = settings or Settings()
    paths = [p for p in smears.glob("*") if p.suffix.lower() in (".jpg", ".png")]
    parts = split_smears(paths)
    entries = []
    uses = {**parts, "pairs": parts["target"]} if settings.pairs else parts
    for part, members in uses.items():
        for path in members:
            seed = settings.seed * 1_000_003 + int(re.findall(r"\d+", path.stem)[-1])
            try:
                pictures = _pictures(part, _resampled(path, settings.diameter), seed, settings)
            except InputError as error:
                raise InputError(f"{path.name}: {error}") from error
            folder = "train" if part in ("source", "target") else part
            files = {name: f"{folder}/{name}/{path.stem}.png" for name in pictures}
            for name, file in files.items():
                write_png(out / file, pictures[name])
            entries.append({"smear": path.name, "part": part, "seed": seed, "files": files})
    manifest = {
        "settings": asdict(settings),
        "split": {part: [p.name for p in members] for part, members in parts.items()},
        "images": entries,
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _pictures(part: str, rgb: Floats, seed: int, settings: Settings) -> Mapping[str, NDArray[Any]]:
    diameter = settings.diameter or SMEAR_DIAMETER
    if part not in ("source", "target", "pairs"):
        pair = simulated_pair(rgb, seed, diameter=diameter)
        return {"source": pair.source, "target": pair.target, "debris": pair.mask}
    empty = empty_field(rgb, diameter)
    weight: Floats = np.zeros(empty.shape)
    if np.random.default_rng((seed, 4)).random() < settings.sparse:
        weight = removal(empty, seed, diameter=diameter)
    free = empty | (weight > 0.5)
    # Where cells are few, most of what is dark must still be cells.
    count = SPARSE_DEBRIS if weight.any() else DENSE_DEBRIS
    density = debris_density(free, seed, diameter=diameter, count=count)
    mask = (density > VISIBLE) & free
    made: dict[str, NDArray[Any]] = {}
    if part != "target":
        light = transmission(rgb, seed, diameter=diameter)
        light = light * (1.0 - weight) + weight
        made["source"] = recorded(light * np.exp(-density), seed)
    if part != "source":
        left = painted_over(rgb, weight, empty, seed, diameter) if weight.any() else rgb
        made["target"] = shaded(left, density)
    return {**made, "debris" if part == "pairs" else f"{part}_debris": mask}


def _resampled(path: Path, diameter: float) -> Floats:
    from skimage.transform import rescale

    image = np.moveaxis(np.asarray(open_image(path)), 0, -1).astype(np.float64)
    if not diameter:
        return image
    small = rescale(image, diameter / SMEAR_DIAMETER, anti_aliasing=True, channel_axis=-1)
    return np.asarray(np.clip(small, 0.0, 255.0))


def main() -> None:
    """Write the domains."""
    usual = Settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the domains")
    parser.add_argument("--diameter", type=float, default=usual.diameter,
                        help="of red cells, pixels; 0 keeps the smears' size")  # fmt: skip
    parser.add_argument("--sparse", type=float, default=usual.sparse,
                        help="share of training images with few cells")  # fmt: skip
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--pairs", action="store_true", help="make pairs of the target, too")
    options = parser.parse_args()
    settings = Settings(options.diameter, options.sparse, options.seed, options.pairs)
    manifest = prepare(options.data / FOLDER, options.out, settings)
    counts = {part: len(names) for part, names in manifest["split"].items()}
    print(f"{options.out / 'manifest.json'}: {counts}")


if __name__ == "__main__":
    main()
