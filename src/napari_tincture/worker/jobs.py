"""A job as napari's process sees it: where it stands, what was said about it, its result."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import numpy as np

from napari_tincture.blend import told
from napari_tincture.errors import Cancelled, TinctureError, WorkerError
from napari_tincture.io.pyramid import downsample, level_shapes
from napari_tincture.object_table import ObjectTable
from napari_tincture.raster import Raster
from napari_tincture.worker.errors import rebuild_error
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import build, describe_all
from napari_tincture.worker.wire import Message

LARGEST_DRAWN = 8192
"""Side in pixels up to which napari draws a result without a pyramid, in about 0.2 s."""
SMALLEST_LEVEL = 1024
STRIP = 512


class State(Enum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will be heard of the job."""
        return self in (State.FINISHED, State.FAILED, State.CANCELLED)


@dataclass(eq=False, slots=True)
class Job:
    """One job: read by any thread, changed by the client alone.

    Attributes
    ----------
    number
        Counts the jobs of a client from 1.
    settings, sources
        What to do, and with what; after the first `inputs` come those that these are made of.
    listener
        Called after every change, in the thread that changed it.
    title
        What a person knows it by.
    state
        Where the job stands.
    done, total
        Tiles, or images if there are many; both 0 until they are counted.
    detail
        What is under way, where there is more to say than that.
    warnings
        What was said on the way, e.g. that memory ran out and the tile was halved.
    error
        Why it failed or ended early; the worker's traceback is its note.
    results
        The finished images by the names of what was asked for, of which a single one has none; in
        memory, or opened from where `settings.save_to` says; none for many images.
    tables
        Figures of the objects of those results that hold some, by the same names.
    previews
        How often was shown what comes, see `preview`.
    summary
        What became of many images, or what the results say on the whole.
    table
        Figures of the results, one row each, where they were compared.
    """

    number: int
    settings: JobSettings
    sources: tuple[Raster, ...]
    listener: Callable[[Job], None]
    title: str
    inputs: int = 1
    state: State = State.QUEUED
    done: int = 0
    total: int = 0
    detail: str = ""
    warnings: list[str] = field(default_factory=list)
    error: TinctureError | None = None
    results: dict[str, Raster] = field(default_factory=dict)
    tables: dict[str, ObjectTable] = field(default_factory=dict)
    summary: str = ""
    table: Sequence[Mapping[str, Any]] = ()
    previews: int = 0
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _attributes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def result(self) -> Raster | None:
        """The first of the results; None as long as there is none."""
        return next(iter(self.results.values()), None)

    def wait(self, timeout: float | None = None) -> Raster:
        """Wait for the result; not for the GUI thread.

        Raises
        ------
        TinctureError
            What the job failed with; Cancelled if it was cancelled.
        TimeoutError
            If it has not ended after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"Job {self.number} has not ended after {timeout} s.")
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def order(self) -> tuple[str, dict[str, Any]]:
        """Kind and fields of the message that asks for it."""
        return "job", {
            "settings": self.settings.to_json(),
            "sources": describe_all(self.sources),
            "inputs": list(range(self.inputs)),
        }

    def receive(self, message: Message) -> None:
        """Take what the worker says about this job; if it cannot be taken, this job fails."""
        if self.state.final:
            return
        try:
            getattr(self, f"_on_{message.kind}")(message)
        except TinctureError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 - later jobs must not wait for this one
            failure = WorkerError(f"The result could not be taken: {type(error).__name__}: {error}")
            failure.add_note(traceback.format_exc())
            self.fail(failure)

    def end(self, state: State, error: TinctureError | None = None) -> None:
        """Enter a final state and tell the listener."""
        if self.state.final:
            return
        self.state, self.error = state, error
        self.sources, self._arrays = (), {}
        self._ended.set()
        self.listener(self)

    def fail(self, error: TinctureError) -> None:
        """End with an error."""
        self.end(State.FAILED, error)

    def _on_started(self, message: Message) -> None:
        layouts = message["results"]
        types = {name: np.dtype(layout["dtype"]) for name, layout in layouts.items()}
        try:
            self._arrays = {n: np.zeros(tuple(layouts[n]["shape"]), t) for n, t in types.items()}
        except MemoryError:
            bytes_ = (np.prod(layouts[n]["shape"], dtype=float) * types[n].itemsize for n in types)
            size = sum(bytes_) / 2**30
            self.fail(
                WorkerError(
                    f"The result, {size:.1f} GiB, does not fit into memory. Write it to disk "
                    "(output: a zarr), or choose a smaller region."
                )
            )
        self._attributes = {name: layout["attributes"] for name, layout in layouts.items()}

    def _on_block(self, message: Message) -> None:
        index = tuple(slice(start, stop) for start, stop in message["index"])
        self._arrays[message["name"]][index] = message.payload

    def _on_preview(self, message: Message) -> None:
        self._on_block(message)
        self.previews += 1
        self.listener(self)

    def preview(self) -> Raster | None:
        """What the only result looks like for the moment; it goes on changing.

        None before the first preview, and when the job has ended.
        """
        arrays = self._arrays  # the end of the job, in another thread, puts others there
        if not self.previews or not arrays:
            return None
        name, array = next(iter(arrays.items()))
        return build([array], {**self._attributes[name], "provenance": {}})

    def _on_progress(self, message: Message) -> None:
        self.done, self.total = message["done"], message["total"]
        self.detail = message.fields.get("detail", "")
        self.listener(self)

    def _on_warning(self, message: Message) -> None:
        self._note(message["message"])
        self.listener(self)

    def _note(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _on_finished(self, message: Message) -> None:
        facts = message["facts"]
        if "failed" in facts:
            self._take_report(facts)
            return
        self.results = {name: self._taken(name, told) for name, told in facts["results"].items()}
        self.summary, self.table = facts.get("summary", ""), facts.get("table", ())
        for raster in self.results.values():
            for note in notes(raster.provenance):
                self._note(note)
        self.end(State.FINISHED)

    def _taken(self, name: str, told: Mapping[str, Any]) -> Raster:
        """One result, of which the worker has told this."""
        if "objects" in told:
            self.tables[name] = ObjectTable.from_json(told["objects"])
        if "path" in told:
            from napari_tincture.io.open import open_image

            return open_image(told["path"])
        values = {**self._attributes[name], "provenance": told["provenance"]}
        return build(pyramid(self._arrays[name], values["kind"]), values)

    def _take_report(self, facts: Mapping[str, Any]) -> None:
        self.summary = facts["summary"]
        if facts["failed"]:
            reasons = [f"{image}: {reason}" for image, reason in facts["failed"]]
            self._note("\n".join([f"{self.title}: {self.summary}", *reasons]))
        self.end(State.FINISHED)

    def _on_cancelled(self, message: Message) -> None:
        self.end(State.CANCELLED, Cancelled(message["message"]))

    def _on_failed(self, message: Message) -> None:
        self.fail(rebuild_error(message))


def pyramid(array: np.ndarray, kind: Literal["image", "labels"]) -> list[np.ndarray]:
    """Give the levels under which a result in memory is shown.

    Parameters
    ----------
    array
        (..., y, x), level 0.
    kind
        How pixels are joined.

    Returns
    -------
    list of ndarray
        The array alone, unless it is so large that drawing all of it would hold up the window.
    """
    levels = [array]
    if max(array.shape[-2:]) <= LARGEST_DRAWN:
        return levels
    for shape in level_shapes(array.shape, SMALLEST_LEVEL)[1:]:
        level = np.empty(shape, array.dtype)
        for start in range(0, shape[-2], STRIP):  # a strip's temporary arrays are small
            source = levels[-1][..., 2 * start : 2 * (start + STRIP), :]
            level[..., start : start + STRIP, :] = downsample(source, kind)
        levels.append(level)
    return levels


def notes(provenance: Mapping[str, Any]) -> list[str]:
    """Tell what a person should know of a run, from the provenance of its result."""
    found = [str(event) for event in provenance.get("events", ())]
    if warning := provenance.get("warning"):
        found.append(str(warning))
    if seams := provenance.get("seams"):
        text = told(seams)
        found.append(f"{text[0].upper()}{text[1:]}.")
    sampled = [
        values["how"].get("halves_differ")
        for values in provenance.get("values", {}).values()
        if values.get("how", {}).get("context") == "sampled"
    ]
    if sampled:
        differ = max((float(value) for value in sampled if value is not None), default=None)
        by = "" if differ is None else f", two halves of which differ by {differ:.2g}"
        found.append(
            f"The values of the whole image come from samples of it{by}. "
            "Choose context 'exact' to use all of it."
        )
    return found
