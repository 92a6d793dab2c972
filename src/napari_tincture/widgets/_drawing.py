"""The layer in which an image appears while it is drawn, and what was drawn last; no Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari.layers import Layer

from napari_tincture.widgets._added import add_results
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.settings import JobSettings

THROUGH = 0.4
"""Opacity of a map through which its image is seen."""
SAME = ("model", "region", "device", "precision")
"""Settings that a scene must share with what repaints it."""


@dataclass(eq=False)
class Scene:
    """What was drawn: the job, the map's layer, the settings, and the image's layer."""

    job: Job
    labels: str
    settings: JobSettings
    layer: Any = None
    repaints: bool = False
    """Whether the layer shows what was drawn before, until something comes of this."""
    before: Any = None
    """Pixels that a repainted layer had, once it shows others."""
    title: str = ""
    """What tells the image from others of the same map."""

    @property
    def number(self) -> int:
        """Of the job, by which the worker knows it."""
        return self.job.number


@dataclass(eq=False)
class Drawing:
    """Images of one panel while they are drawn, and the last of them.

    Attributes
    ----------
    viewer : napari.Viewer
        Gets the layers.
    """

    viewer: Any
    _under_way: dict[int, Scene] = field(default_factory=dict)
    _last: Scene | None = None

    def begin(
        self, job: Job, labels: str, settings: JobSettings, before: Scene | None = None,
        title: str = "",
    ) -> None:  # fmt: skip
        """Note a job that draws, perhaps a change of what was drawn before."""
        scene = Scene(job, labels, settings, title=title)
        if before is not None and before.layer in self.viewer.layers:
            scene.layer, scene.repaints = before.layer, True
        self._under_way[job.number] = scene

    def scene_of(self, labels: str, settings: JobSettings) -> Scene | None:
        """What was drawn last, if a map's layer and the settings are the same."""
        last = self._last
        if last is None or last.labels != labels or last.settings.save_to is not None:
            return None
        same = all(getattr(last.settings, name) == getattr(settings, name) for name in SAME)
        return last if same and last.settings.options == settings.options else None

    def follow(self, job: Job) -> None:
        """Show what comes of a job, as far as it is drawn."""
        scene, preview = self._under_way.get(job.number), job.preview()
        if scene is None or preview is None or ("c" in preview.axes and not preview.rgb):
            return
        data, options, kind = preview.to_layer()
        if scene.layer is None or scene.layer not in self.viewer.layers:
            scene.layer = getattr(self.viewer, f"add_{kind}")(data, **options)
            scene.repaints = False
            self._beneath(scene)
        elif scene.repaints and scene.before is None:
            scene.before = list(scene.layer.data) if scene.layer.multiscale else scene.layer.data
            self._fill(scene, data)
        else:
            scene.layer.refresh()

    def finish(self, job: Job) -> None:
        """Show what a job has drawn, in the layer that showed it coming."""
        scene, result = self._under_way.get(job.number), job.result
        if scene is None or result is None:
            return
        shown = scene.layer is not None and scene.layer in self.viewer.layers
        if shown and ("c" not in result.axes or result.rgb):
            data, options, _ = result.to_layer()
            self._fill(scene, data)
            scene.layer.metadata.update(options.get("metadata", {}))
        else:
            add_results(self.viewer, job.results)
            scene.layer = self.viewer.layers[-1]
            self._beneath(scene)
        if scene.title:
            scene.layer.name = f"{scene.layer.name} {scene.title}"
        scene.repaints, scene.before, self._last = False, None, scene

    def _beneath(self, scene: Scene) -> None:
        """Lay the image under its map, which stays what is painted on."""
        layers = self.viewer.layers
        if scene.labels not in layers:
            return
        labels = layers[scene.labels]
        layers.move(layers.index(scene.layer), layers.index(labels))
        labels.opacity = min(labels.opacity, THROUGH)
        layers.selection = {labels}

    def end(self, job: Job) -> None:
        """Let go of a job; of one that drew nothing, what it showed goes, too."""
        scene = self._under_way.pop(job.number, None)
        if scene is None or scene is self._last or scene.layer not in self.viewer.layers:
            return
        if scene.before is not None:
            self._fill(scene, scene.before)
        elif not scene.repaints:
            self.viewer.layers.remove(scene.layer)

    def _fill(self, scene: Scene, data: Any) -> None:
        """Show other pixels in an image's layer, or in one like it if they have other levels.

        A layer of one level cannot show several, nor the other way round.
        """
        old = scene.layer
        if isinstance(data, list) == old.multiscale:
            old.data = data
            return
        layers = self.viewer.layers
        _, state, kind = old.as_layer_data_tuple()
        new = Layer.create(data, {**state, "multiscale": isinstance(data, list)}, kind)
        selected, name = set(layers.selection), old.name
        layers.insert(layers.index(old), new)
        layers.remove(old)
        new.name = name
        layers.selection = {new if layer == old else layer for layer in selected}
        for other in (scene, self._last, *self._under_way.values()):
            if other is not None and other.layer == old:
                other.layer = new
