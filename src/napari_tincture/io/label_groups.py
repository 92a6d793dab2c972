"""Label images inside an OME-Zarr image: ``image.ome.zarr/labels/nuclei``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ome_zarr_models.v04.image_label_types import Label as Label04
from ome_zarr_models.v04.image_label_types import Source
from ome_zarr_models.v04.labels import LabelsAttrs as LabelsAttrs04
from ome_zarr_models.v05.image_label_types import Label as Label05
from ome_zarr_models.v05.labels import LabelsAttrs as LabelsAttrs05

from napari_tincture.durable import write_json
from napari_tincture.errors import OutputError
from napari_tincture.io.ome_metadata import plain_json
from napari_tincture.io.ome_zarr import local_attributes
from napari_tincture.io.output import writing

GROUP = "labels"
"""Name of the group within an image."""


def is_inside_image(path: Path) -> bool:
    """Tell whether a path is that of a label image in an OME-Zarr image, such as ``a/labels/b``."""
    return path.parent.name == GROUP and bool(_ome(path.parent.parent).get("multiscales"))


def register(path: Path) -> None:
    """List a label image among the labels of the image that it lies in.

    The ``labels`` group is made if there is none; what other programs have written into it stays.
    Label images that are no longer there are taken from its list. Each file is there completely
    or as before.

    Parameters
    ----------
    path : Path
        A finished label image, ``image.ome.zarr/labels/name``, OME-Zarr 0.5 (zarr format 3) or
        0.4 (format 2) as the image is.

    Raises
    ------
    OutputError
        If it is no label image, lies in no image, or the two are of different versions.
    InputError
        If metadata that are there already are damaged.
    """
    _check(path)
    group = path.parent
    _name_source(path)
    # Another process may finish a label image between reading the list and writing it.
    while (names := _names(group)) != _listed(group):
        _write_group(group, names)


def label_paths(image: Path) -> list[Path]:
    """Find the label images of an image, as its ``labels`` group lists them."""
    group = image / GROUP
    return [group / name for name in _listed(group) or () if _ome(group / name).get("multiscales")]


def _check(path: Path) -> None:
    if "image-label" not in _ome(path):
        raise OutputError(f"{path} is no finished OME-Zarr label image; write it first.")
    if not is_inside_image(path):
        raise OutputError(
            f"{path} lies in no OME-Zarr image. Labels of an image go to "
            "<image>.ome.zarr/labels/<name>."
        )
    image = path.parent.parent
    if _is_format_3(path) != _is_format_3(image):
        versions = {True: "0.5 (zarr format 3)", False: "0.4 (zarr format 2)"}
        raise OutputError(
            f"{path.name!r} is OME-Zarr {versions[_is_format_3(path)]}, its image {image} is "
            f"{versions[_is_format_3(image)]}; labels have the version of their image. Write "
            f"{versions[_is_format_3(image)][:3]}, or to a path of their own."
        )


def _names(group: Path) -> list[str]:
    """List the label images that are there, those that are listed already in their order."""
    listed = _listed(group) or []
    there = sorted(
        entry.name
        for entry in group.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and "image-label" in _ome(entry)
    )
    kept = [name for name in listed if (group / name).is_dir()]
    return kept + [name for name in there if name not in kept]


def _listed(group: Path) -> list[str] | None:
    names = _ome(group).get("labels")
    return [str(name) for name in names] if isinstance(names, list) else None


def _write_group(group: Path, names: list[str]) -> None:
    attributes = local_attributes(group)
    if _is_format_3(group.parent):
        ome = LabelsAttrs05.model_validate({**_ome(group), "version": "0.5", "labels": names})
        _write_attributes(group, {**attributes, "ome": plain_json(ome)})
        return
    ome_04 = LabelsAttrs04.model_validate({**attributes, "labels": names})
    _write_attributes(group, plain_json(ome_04))


def _name_source(path: Path) -> None:
    """Say in a label image which image it is of, unless it says so already."""
    attributes, ome = local_attributes(path), _ome(path)
    label = ome["image-label"] if isinstance(ome["image-label"], Mapping) else {}
    if label.get("source"):
        return
    source = Source(image="../../")
    if _is_format_3(path):
        named = Label05.model_validate({"version": "0.5", **label, "source": source})
        _write_attributes(path, {**attributes, "ome": {**ome, "image-label": plain_json(named)}})
        return
    named_04 = Label04.model_validate({"version": "0.4", **label, "source": source})
    _write_attributes(path, {**attributes, "image-label": plain_json(named_04)})


def _is_format_3(node: Path) -> bool:
    return (node / "zarr.json").is_file()


def _ome(node: Path) -> dict[str, Any]:
    attributes = local_attributes(node)
    ome = attributes.get("ome", attributes)
    return dict(ome) if isinstance(ome, Mapping) else {}


def _write_attributes(node: Path, attributes: Mapping[str, Any]) -> None:
    """Write the attributes of a group, which is made if need be."""
    if _is_format_3(node) or _is_format_3(node.parent):
        path = node / "zarr.json"
        group: dict[str, Any] = {"zarr_format": 3, "node_type": "group"}
        if path.exists():
            group = json.loads(path.read_text("utf-8"))
        _replace(path, {**group, "attributes": attributes})
        return
    if not (node / ".zgroup").exists():
        _replace(node / ".zgroup", {"zarr_format": 2})
    _replace(node / ".zattrs", attributes)


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    with writing(path):
        write_json(path, content)
