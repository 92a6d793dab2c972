"""Computing linked labels whole: the labels first, then who is one, then final numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_tincture.arrays import block_slices
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.io.identity import signature
from napari_tincture.io.open import open_image
from napari_tincture.io.provenance import RUN_FACTS, versions
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.runner import Write
from napari_tincture.tasks._links import Links, silent

UNLINKED = "unlinked.ome.zarr"
"""Where labels that are computed wait until all planes are there."""
FOUND = "links.npz"


class LinkRunner:
    """Streams linked labels in bounded memory; labels that are computed wait on disk.

    Parameters
    ----------
    links
        Of labels, which may be computed or read.
    sources
        The images that the last step of the provenance started from.
    """

    def __init__(self, links: Links, sources: tuple[Raster, ...]) -> None:
        self.links, self.sources = links, sources
        self._ready: tuple[Path, Links] | None = None

    def facts(self) -> dict[str, Any]:
        """What was found out so far."""
        found: dict[str, Any] = getattr(self.links.labels.runner, "facts", dict)()
        return found

    def stream(
        self,
        write: Write,
        progress: Progress,
        cancel: CancelToken,
        checkpoint: Checkpoint | None = None,
    ) -> Mapping[str, Any] | None:
        """Compute the labels, link their planes, then write them renumbered."""
        with ExitStack() as stack:
            if checkpoint is None:
                name = stack.enter_context(tempfile.TemporaryDirectory(prefix="tincture-links-"))
                areas = block_slices(self.links.labels.data)
                checkpoint = Checkpoint(Path(name), areas, areas)
            parts = 2 + self._computes
            links = self._prepared(checkpoint.folder, progress, cancel)
            last, total = share(progress, parts - 1, parts), len(checkpoint.areas)
            done = total - len(checkpoint.missing)
            for area in checkpoint.missing:
                last(done, total)
                cancel.check()
                write(area, links.read(area))
                done += 1
            last(total, total)
            outcome = self.outcome(checkpoint)
            self._ready = None
            return outcome

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        """Nothing that earlier runs have decided is to be kept but their files."""
        return nullcontext()

    def freeze(self) -> dict[str, Any]:
        """What decides about the numbers of the labels."""
        runner = self.links.labels.runner
        return {"free": {"run": {}}} if runner is None else runner.freeze()

    def identity(self) -> dict[str, Any]:
        """What is linked, and how."""
        how = {"axis": self.links.axis, "least": self.links.least}
        return {"labels": signature(self.links.labels), "link": how}

    def rounds(self, checkpoint: Checkpoint, workers: int = 1) -> Iterator[Sequence[Task]]:
        """Prepare here; then areas, which any process can write."""
        self._prepared(checkpoint.folder, *silent())
        yield [{"area": [[s.start, s.stop] for s in area]} for area in checkpoint.missing]

    def perform(
        self, task: Task, checkpoint: Checkpoint, write: Write, cancel: CancelToken
    ) -> None:
        """Write an area of final labels."""
        area = tuple(slice(*edges) for edges in task["area"])
        write(area, self._prepared(checkpoint.folder, *silent()).read(area))

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What the run of the labels told, and the number of linked objects."""
        links = self._prepared(checkpoint.folder, *silent())
        told = links.labels.provenance if self._computes else {"versions": versions()}
        facts = {name: told[name] for name in RUN_FACTS if name in told}
        return {**facts, "objects": links.count}

    @property
    def _computes(self) -> bool:
        return self.links.labels.runner is not None

    def _prepared(self, folder: Path, progress: Progress, cancel: CancelToken) -> Links:
        """Labels that can be read at any place, and how they are linked."""
        if self._ready is not None and self._ready[0] == folder:
            return self._ready[1]
        links, parts, file = self.links, 2 + self._computes, folder / FOUND
        if self._computes:
            labels = self._unlinked(folder / UNLINKED, share(progress, 0, parts), cancel)
            links = Links(labels, links.axis, links.least)
        if file.exists():
            links.load(file)
        else:
            links.find(share(progress, parts - 2, parts), cancel)
            links.save(file)
        self._ready = folder, links
        return links

    def _unlinked(self, path: Path, progress: Progress, cancel: CancelToken) -> Raster:
        """The labels as they are computed, written once."""
        labels = self.links.labels
        if not path.exists():
            # Where they lie is the result's to say; a format that cannot hold it would warn.
            plain = replace(labels, placement=Placement.build(tuple(labels.axes)))
            plain.save(path, progress=progress, cancel=cancel)
        return open_image(path)
