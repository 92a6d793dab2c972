"""Learning while somebody paints: a small network, strokes, and its prediction at once.

1. The image's normalisation is fixed when the session begins.
2. Strokes are kept sparsely; crops are drawn around them, every painted class equally often.
3. The network, its optimiser and its averaged weights live as long as the session: more strokes
   improve what there is.
4. A prediction is that of the whole image: windows are read with all that the network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics.labels.confusion import Confusion
from napari_tincture.models import load_model
from napari_tincture.models.card import ModelCard, Part
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.reach import with_reach
from napari_tincture.tiling.whole import PlaneValues
from napari_tincture.training.held import whole
from napari_tincture.training.images.domains import Domain, domain_statistics
from napari_tincture.training.images.material import AS_SEEN
from napari_tincture.training.labels import stroke_crops
from napari_tincture.training.labels.judge import table_of
from napari_tincture.training.labels.labelling import Labelling, as_classes
from napari_tincture.training.labels.segmenters import as_segmenter, refill
from napari_tincture.training.labels.session_networks import part_of, small
from napari_tincture.training.labels.strokes import BLOCK, Strokes
from napari_tincture.training.loop import Trainer
from napari_tincture.training.presets import preset
from napari_tincture.training.starts import begin_from

FIRST, MORE = 60, 25
"""Steps of the first update and of further ones."""
RATE, RATE_FROM = 4e-3, 2e-3
"""Of a new network, and of one that begins with a model's weights."""
JUDGED = 32
"""Squares of strokes that are looked at for the figures."""
FOREVER = 10**9


class Session:
    """One image, its strokes, and a network that learns from them.

    Parameters
    ----------
    image
        Whatever `Domain.open` takes for one image: a raster, a layer, an array or a path.
    classes
        Values, or mappings of "value", "name" and "colour"; two at least.
    unlabelled
        Value of pixels that count for nothing; -1: none.
    channels
        Which channels, see `pictures_of`.
    normalisation
        How values become the network's; measured once for each plane.
    network
        Options of the architecture "unet" that differ from the small one's.
    start
        Name or file of a model to begin with: its network, its weights, its normalisation. A last
        layer for other classes is learned anew. Empty: a small network that knows nothing.
    device, seed
        Where it learns, and what decides all draws.

    Raises
    ------
    InputError
        If the image cannot be read, classes are fewer than two, or the model to begin with takes
        other channels.
    ModelError
        If there is no such model.
    """

    def __init__(
        self, image: Any, classes: Sequence[Any], *, unlabelled: int = 0, channels: Any = None,
        normalisation: Normalisation = AS_SEEN, network: Mapping[str, Any] | None = None,
        start: str = "", device: str = "cpu", seed: int = 0,
    ) -> None:  # fmt: skip
        before = load_model(start).card if start else None
        if before is not None:
            normalisation = before.normalisation
        self._domain = Domain.open(
            [image], channels=channels, normalisation=normalisation, nonfinite="background"
        )
        self._labelling = Labelling("classes", unlabelled, as_classes(classes))
        if len(self._labelling.classes) < 2:
            raise InputError(
                f"A session needs two classes at least, got {list(self._labelling.values)}. Add "
                "another, such as background with a value of its own."
            )
        self._pictures = {picture.plane: picture for picture in self._domain.pictures}
        shape = self._domain.pictures[0].shape
        self.strokes = Strokes(shape, len(self._labelling.classes))
        self._device, self._seed = device, seed
        self._crops = stroke_crops.StrokeCrops(self._pictures, self.strokes, seed)
        counts = self._domain.channels, len(self._labelling.classes)
        part = small(network or {}, *counts) if before is None else part_of(before, *counts)
        self._trainer = self._begin(part, start)
        self._model: Model | None = None
        self._shown = -1

    @property
    def steps(self) -> int:
        """How many steps have been learned."""
        return self._trainer.step

    @property
    def card(self) -> ModelCard:
        """Of the model, as it is now."""
        return self._current().card

    def paint(
        self, y: int, x: int, labels: NDArray[Any], *, plane: tuple[int, ...] = ()
    ) -> dict[str, int]:
        """Take strokes at a place, in the place of those that were there.

        Parameters
        ----------
        y, x
            First pixel.
        labels
            (y, x) integers: values of classes; others count for nothing, and erase. What leaves
            the image is left out.
        plane
            Place along t and z, as far as the image has them.

        Returns
        -------
        dict
            Painted pixels of each class by its name, of all planes.

        Raises
        ------
        InputError
            If labels are no integers (y, x), there is no such plane, or all lies outside.
        """
        self._check(plane)
        if labels.ndim != 2 or labels.dtype.kind not in "biu":
            raise InputError(
                f"Expected strokes as integers (y, x), got {labels.dtype} of shape {labels.shape}."
            )
        height, width = self.strokes.shape
        top, left = max(-y, 0), max(-x, 0)
        inside = labels[top : max(height - y, 0), left : max(width - x, 0)]
        if not inside.size:
            raise InputError(
                f"Strokes of {labels.shape} px at y = {y}, x = {x} lie outside the image of "
                f"{height} × {width} px."
            )
        self.strokes.put(plane, y + top, x + left, self._labelling.encode(inside, None))
        names = [each.name for each in self._labelling.classes]
        return dict(zip(names, self.strokes.pixels.tolist(), strict=True))

    def learn(
        self, steps: int | None = None, *, until: Callable[[int, float], bool] | None = None,
        cancel: CancelToken | None = None,
    ) -> dict[str, float]:  # fmt: skip
        """Take steps on crops around the strokes.

        Parameters
        ----------
        steps
            How many; None: 60 of a new session, 25 later on.
        until
            Asked after every step, with the number of steps and the loss; True ends it.

        Returns
        -------
        dict
            "steps" in all, "loss" of the last step; on the strokes themselves "mean_iou", and
            "constant", the mean IoU of the best single class.

        Raises
        ------
        InputError
            If fewer than two classes are painted.
        TrainingError
            If the loss is no number.
        Cancelled
            If the token was set; what was learned stays.
        """
        painted = np.flatnonzero(self.strokes.pixels)
        if len(painted) < 2:
            names = [self._labelling.classes[i].name for i in painted]
            raise InputError(
                f"Painted is {names[0] if names else 'nothing'}: there is nothing to tell apart. "
                "Paint some pixels of two classes at least."
            )
        loss = float("nan")
        for _ in range(steps or (MORE if self.steps else FIRST)):
            if cancel is not None and cancel.cancelled:
                raise Cancelled("Learning was cancelled; what was learned so far stays.")
            loss = self._trainer.advance(self._crops)["loss"]
            if until is not None and until(self.steps, loss):
                break
        return {"steps": float(self.steps), "loss": loss, **self._figures()}

    def predict(self, y: slice, x: slice, *, plane: tuple[int, ...] = ()) -> NDArray[np.float32]:
        """Probabilities (class, y, x) of a window within the image, as of the whole image.

        Raises
        ------
        InputError
            If the window leaves the image, or there is no such plane.
        """
        self._check(plane)
        spans = ((y.start, y.stop), (x.start, x.stop))
        if not all(0 <= a < b <= n for (a, b), n in zip(spans, self.strokes.shape, strict=True)):
            height, width = self.strokes.shape
            raise InputError(
                f"The window y {y.start}–{y.stop}, x {x.start}–{x.stop} is empty or leaves the "
                f"image of {height} × {width} px."
            )
        picture = self._pictures[plane]
        known = {plane: PlaneValues(picture.stats)}
        return whole(self._current(), picture, self._device, spans, known)

    def model(self, name: str = "") -> Model:
        """The model as it is now, for `segment`; it does not follow the session."""
        recipe = self._recipe.replace(name=name or self._recipe.name)
        made = as_segmenter(recipe, self._domain, self._trainer.networks()["forward"])
        made = with_reach(made)
        return made.with_card(
            made.card.replace(
                training_statistics=domain_statistics(self._domain),
                figures={f"strokes {k}": v for k, v in self._figures().items()},
                citation=recipe.published.citation,
                start=self._trainer.begun,
                trained_in=self._trainer.trained_in,
                split="strokes on one image; the figures are those of the strokes themselves",
            )
        )

    def _begin(self, part: Part, start: str) -> Trainer:
        name = self._domain.pictures[0].name
        recipe = preset(
            "segmentation", "tiny", name=f"{name} painted", steps=FOREVER, crop=stroke_crops.CROP,
            batch=stroke_crops.BATCH, lr=RATE_FROM if start else RATE,
            warmup=5, decay="constant", ema=0.9, keep="last", seed=self._seed,
            validate_every=FOREVER, save_every=FOREVER,
            options={"unlabelled": self._labelling.unlabelled,
                     "classes": self._labelling.to_json()},
        )  # fmt: skip
        self._recipe = recipe.replace(networks={"forward": part}, start=start)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            networks = self._recipe.build_networks()
        begun = begin_from(networks, self._recipe) if start else ""
        objective = self._recipe.build_objective(networks)
        trainer = Trainer(objective, self._recipe.schedule, self._device)
        trainer.begun = begun
        return trainer

    def _current(self) -> Model:
        network = self._trainer.networks()["forward"]
        if self._model is None:
            self._model = with_reach(as_segmenter(self._recipe, self._domain, network))
        if self._shown != self.steps:
            refill(self._model, network)
            self._shown = self.steps
        return self._model

    def _figures(self) -> dict[str, float]:
        """Mean IoU on strokes, of the network and of the best single class."""
        count = len(self._labelling.classes)
        table = np.zeros((count, count), np.int64)
        blocks = self.strokes.blocks
        for plane, i, j in blocks[:: max(len(blocks) // JUDGED, 1)][:JUDGED]:
            y, x = (
                slice(index * BLOCK, min((index + 1) * BLOCK, length))
                for index, length in zip((i, j), self.strokes.shape, strict=True)
            )
            truth = self.strokes.get(plane, y, x)
            found = self.predict(y, x, plane=plane).argmax(axis=0)
            table += table_of(truth, found, count)
        shares = table.sum(axis=1) / table.sum()
        return {"mean_iou": Confusion(tuple(range(count)), table).mean_iou,
                "constant": float(shares.max() / (shares > 0).sum())}  # fmt: skip

    def _check(self, plane: tuple[int, ...]) -> None:
        if plane not in self._pictures:
            leading = self._domain.pictures[0].inputs.leading
            raise InputError(
                f"There is no plane {plane} of {len(self._pictures)}; expected a place along "
                f"{', '.join(leading) or 'no axis'}."
            )
