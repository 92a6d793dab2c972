"""What the worker does with a job: sources in, task, blocks out."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

import napari_tincture
from napari_tincture import models
from napari_tincture.device import available_devices, describe_device, release_memory
from napari_tincture.errors import InputError, ModelError
from napari_tincture.io.open import open_image
from napari_tincture.models.shipped import find_model
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.tasks._scene import Scene
from napari_tincture.tasks.batch import batch
from napari_tincture.tasks.batch_report import BatchProgress
from napari_tincture.tasks.comparison import Comparison
from napari_tincture.tasks.find import find_task
from napari_tincture.tasks.make_dataset import make_dataset
from napari_tincture.tasks.outputs import Outputs
from napari_tincture.tasks.recipe import DATASET
from napari_tincture.tasks.synthesize import synthesize
from napari_tincture.worker import packing
from napari_tincture.worker.deliver import deliver, told_of
from napari_tincture.worker.inbox import Inbox
from napari_tincture.worker.remote import Windows
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import channel_choices, rebuild, with_sources
from napari_tincture.worker.steering import Steering
from napari_tincture.worker.teach_settings import TeachSettings
from napari_tincture.worker.train_settings import TrainSettings
from napari_tincture.worker.wire import Link, Message

if TYPE_CHECKING:
    from napari_tincture.models.model import Model

MODELS_KEPT = 2
SCENES_KEPT = 3
_PACKAGE = Path(napari_tincture.__file__).parent
AT_ONCE = ("process_sheet", "compare_samplers", packing.TASK)
"""Tasks that give no lazy result, but a file or a comparison."""
WARM_SIDE = 128
"""Side in pixels of the empty image that warms up a model."""


class Workbench:
    """Runs jobs in the worker's main thread and keeps the latest models warm."""

    def __init__(self, link: Link, windows: Windows) -> None:
        self._link, self._windows = link, windows
        self._models: OrderedDict[tuple[str, float], Model] = OrderedDict()
        self._scenes: OrderedDict[int, Raster] = OrderedDict()

    def abilities(self) -> dict[str, Any]:
        """Tell what this machine can do; imports torch."""
        return {"devices": {name: describe_device(name) for name in available_devices()}}

    def warm(self, fields: Mapping[str, Any]) -> None:
        """Load a model and run it once on an empty image, so that the first job need not."""
        settings = replace(JobSettings.from_json(fields["settings"]), region=None)
        model = self._model(settings.model)
        size = (len(model.card.image_inputs), WARM_SIDE, WARM_SIDE)
        # Lazy, as images from napari's process are: dask's first computation imports much.
        task = find_task(settings.task)
        if model.card.task == "synthesize":
            return
        image = open_image(da.zeros(size, np.float32, chunks=size), axes="cyx")
        task(image, model, **settings.arguments()).compute()

    def run(self, job: int, fields: Mapping[str, Any], cancel: CancelToken) -> None:
        """Run one job and send its result."""
        settings = JobSettings.from_json(fields["settings"])
        if settings.images is not None:
            self._run_batch(job, settings, cancel)
            return
        with self._telling_warnings(job):
            result = self.prepare(job, fields, **self._at_once(job, settings, cancel))
            if isinstance(result, Path):
                facts: dict[str, Any] = {"summary": f"Saved {result.name}.", "failed": []}
            elif isinstance(result, Comparison):
                drawn = Outputs(result.images, None)
                facts = deliver(self._link, job, drawn, settings, cancel)
                facts |= {"table": result.table, "summary": " ".join(result.notes)}
            else:
                facts = deliver(self._link, job, result, settings, cancel)
                self._keep_scene(job, result)
                if facts["figures"]:
                    facts["summary"] = told_of(facts, self._model(settings.model), settings)
        self._link.send(Message("finished", {"job": job, "facts": facts}))

    def _at_once(self, job: int, settings: JobSettings, cancel: CancelToken) -> dict[str, Any]:
        """What tasks are given that give no lazy result."""

        def progress(done: int, total: int) -> None:
            self._link.send(Message("progress", {"job": job, "done": done, "total": total}))

        return {"progress": progress, "cancel": cancel} if settings.task in AT_ONCE else {}

    def prepare(self, job: int, fields: Mapping[str, Any], **now: Any) -> Any:
        """Make the lazy result of a job or, with its number negative, of a live layer.

        Given what `_at_once` gives, do all that the job is.

        A live layer, which runs beside jobs, gets models of its own: measuring a network, as every
        job does, changes it for a moment.
        """
        load = models.load_model if job < 0 else self._model
        made, _ = self._makers(job, fields["sources"], load)
        return made({"settings": fields["settings"], "of": fields["inputs"]}, **now)

    def train(self, job: int, fields: Mapping[str, Any], steering: Steering) -> None:
        """Train, and tell of it."""
        from napari_tincture.worker.training import train_for_panel

        settings = TrainSettings.from_json(fields["settings"])
        _, source = self._makers(job, fields["sources"], self._model)

        def send(kind: str, payload: np.ndarray | None = None, **more: Any) -> None:
            with suppress(OSError):  # napari's process is gone: the checkpoint is to be saved still
                self._link.send(Message(kind, {"job": job, **more}, payload))

        def open_view(view: Mapping[str, Any]) -> Raster:
            fetch = self._windows.fetcher(job, view["source"])
            return rebuild(view["of"], fetch, f"{job}-{view['source']}")

        with self._telling_warnings(job):
            sources = [source(number) for number in range(len(fields["sources"]))]
            facts = train_for_panel(settings, sources, steering, send, open_view)
        self._link.send(Message("finished", {"job": job, "facts": facts}))

    def teach(self, job: int, fields: Mapping[str, Any], inbox: Inbox) -> None:
        """Learn while somebody paints, until told to end."""
        from napari_tincture.worker.teaching import teach_for_panel

        _, source = self._makers(job, fields["sources"], self._model)

        def send(kind: str, payload: np.ndarray | None = None, **more: Any) -> None:
            self._link.send(Message(kind, {"job": job, **more}, payload))

        with self._telling_warnings(job):
            settings = TeachSettings.from_json(fields["settings"])
            teach_for_panel(settings, source(0), inbox, send)

    def _makers(
        self, job: int, described: Sequence[Mapping[str, Any]], load: Callable[[str], Model]
    ) -> tuple[Callable[..., Any], Callable[[int], Raster]]:
        """What makes results of sources, and what opens a source, perhaps such a result."""

        def made(what: Mapping[str, Any], **now: Any) -> Any:
            settings = JobSettings.from_json(what["settings"])
            sources = [source(number) for number in what["of"]]
            packed = settings.task == packing.TASK
            task: Callable[..., Any] = packing.pack if packed else find_task(settings.task)
            given = {
                "channels": channel_choices(settings.channels, sources),
                **with_sources(settings.arguments(), sources),
                **now,
            }
            if settings.task == "repaint":
                scene = self._scene(given.pop("scene"))
                return task(scene, sources[0], **accepted(task, given))
            result = task(sources[0], load(settings.model), **accepted(task, given))
            channel = what.get("channel")
            return result if channel is None else result.plane(c=channel)

        def source(number: int) -> Raster:
            values = described[number]
            if "made" in values:
                return _as_shown(made(values["made"]), values)
            return rebuild(values, self._windows.fetcher(job, number), f"{job}-{number}")

        return made, source

    def _keep_scene(self, job: int, result: Any) -> None:
        """Keep a drawn scene for a while: it may be repainted."""
        if isinstance(result, Raster) and isinstance(result.runner, Scene):
            self._scenes[job] = result
            while len(self._scenes) > SCENES_KEPT:
                self._scenes.popitem(last=False)

    def _scene(self, job: int) -> Raster:
        if job not in self._scenes:
            raise InputError(
                "The image to repaint is no longer in memory: it was drawn too long ago, or the "
                "process that drew it has ended. Press Synthesize; the same seed gives the same "
                "image."
            )
        return self._scenes[job]

    def _run_batch(self, job: int, settings: JobSettings, cancel: CancelToken) -> None:
        """Run one job on many images; what failed is part of its result."""
        assert settings.images is not None
        assert settings.save_to is not None

        def progress(step: BatchProgress) -> None:
            tiles = f"{step.tiles} of {step.all_tiles} tiles" if step.all_tiles else "preparing"
            detail = f"{Path(step.image).name}: {tiles}" if step.image else ""
            counts = {"done": step.done, "total": step.images, "detail": detail}
            self._link.send(Message("progress", {"job": job, **counts}))

        heard: dict[str, Any] = {"progress": progress, "cancel": cancel}
        with self._telling_warnings(job):
            model = self._model(settings.model)
            if settings.task == DATASET:
                drawn = accepted(synthesize, settings.arguments())
                drawn.pop("region")  # maps of a folder are drawn whole
                report = make_dataset(settings.images, model, settings.save_to, **heard, **drawn)
            else:
                given = {"channels": channel_choices(settings.channels, ()), **settings.arguments()}
                report = batch(
                    settings.images, settings.task, model, settings.save_to,
                    existing="overwrite" if settings.overwrite else "skip",
                    **heard, **accepted(find_task(settings.task), given),
                )  # fmt: skip
        failed = [[failure.image, failure.reason] for failure in report.failed]
        facts = {"summary": report.summary, "failed": failed}
        self._link.send(Message("finished", {"job": job, "facts": facts}))

    @contextmanager
    def _telling_warnings(self, job: int) -> Iterator[None]:
        """Pass this package's warnings on to napari; others stay in the log."""
        show = warnings.showwarning

        def tell(message: Any, category: type[Warning], filename: str, *rest: Any) -> None:
            if Path(filename).is_relative_to(_PACKAGE) and issubclass(category, UserWarning):
                self._link.send(Message("warning", {"job": job, "message": str(message)}))
            else:
                show(message, category, filename, *rest)

        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=UserWarning)
            warnings.showwarning = tell  # type: ignore[assignment]
            yield

    def _model(self, name: str) -> Model:
        """Load a model, or take it from the latest ones if its file has not changed since."""
        key = (name, _changed(name))
        model = self._models.pop(key, None) or models.load_model(name)
        self._models[key] = model
        while len(self._models) > MODELS_KEPT:
            self._models.popitem(last=False)
        return model

    def tidy(self) -> None:
        """Give back the memory that jobs have used."""
        release_memory()


def accepted(task: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a task takes; tasks of label maps have no channels."""
    known = inspect.signature(task).parameters
    needless = {"channels", "context", "region", "device", "precision"} - known.keys()
    return {name: value for name, value in given.items() if name not in needless}


def _changed(name: str) -> float:
    """When a model's file was written."""
    try:
        return find_model(name).stat().st_mtime
    except ModelError:
        return 0.0


def _as_shown(result: Raster, values: Mapping[str, Any]) -> Raster:
    """Put a result where its layer lies, and name it so; a person may have moved the layer."""
    return replace(result, placement=Placement.from_json(values["placement"]), name=values["name"])
