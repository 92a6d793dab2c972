"""How good images of label maps are, by steps, by design, by method, and what they are worth.

``python -m benchmarks.synthesis_table --data DATA`` trains and draws what is not there yet (it goes
on where it was stopped), and prints one table per task as Markdown.

- *steps*: the starter (or ``--model``) with every sampler and numbers of steps;
- *settings*: its usual samplers with weaker and stronger guidance, by which a card's ``usual`` is
  chosen on ``--sections 11,12`` (validation);
- *ablation*: how the map is told, kinds and numbers of blocks;
- *methods*: SPADE, pix2pix, CycleGAN and diffusion of equal budget, from a tenth and all of the
  images;
- *usefulness*: a segmentation that learned from real images, from synthetic ones, and from both.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari_tincture as nt
from benchmarks.synthesis_draw import Way, drawn, flat, mean_greys
from benchmarks.synthesis_judge import (
    HEAD,
    TESTED,
    TRAINED,
    Judge,
    Row,
    features_of,
    section,
    squares,
)
from benchmarks.synthesis_ways import (
    ABLATION,
    METHODS,
    SEGMENTER,
    SIZES,
    STARTER,
    diffusion,
    method,
    segmentation,
    write_one_hot,
)
from benchmarks.trained import Unfinished, trained
from napari_tincture.device import tune_allocator
from napari_tincture.models.model import Model
from napari_tincture.progress import CancelToken
from napari_tincture.training.translation import TranslationRecipe

SAMPLERS = ("ddim", "dpm_solver", "ddpm")
STEPS = (80, 40, 20, 15, 10, 4)
"""As in the literature, and 15, below as many as the model was trained with."""
USUAL = (("ddim", 40), ("dpm_solver", 15))
GUIDANCE = (1.0, 1.5, 2.0)
MOST_FULL = 16
"""Images that are drawn with all steps."""
DEFAULT = Way()


@dataclass(frozen=True)
class Bench:
    """What all parts share."""

    data: Path
    work: Path
    model: Model
    judge: Judge
    deadline: float
    device: str
    iterations: int
    repeats: int

    def train(self, recipe: TranslationRecipe) -> Model:
        """The finished model of a recipe."""
        folder = self.work / "trained"
        path = trained(recipe, folder, self.deadline, self.device, self.data.resolve())
        return nt.load_model(path)

    def row(self, name: str, model: Model, way: Way = DEFAULT, count: int | None = None) -> Row:
        """Draw with a model, and judge it."""
        maps = self.judge.drawn.maps[:count]
        images, seconds = drawn(model, maps, way, self.work, self.deadline, self.device)
        return self.judge.row(name, images, seconds)


def steps(bench: Bench) -> None:
    """Quality and time by sampler and number of steps."""
    card = bench.model.card
    assert card.denoising is not None
    full = int(card.denoising.schedule.get("steps", 1000))
    print(f"## Steps: {card.name}, squares of 128², trained with {full} steps\n")
    print(
        f"All {full} steps on at most {MOST_FULL} images; DPM-Solver++ is of second order and not "
        "meant for so many.\n"
    )
    print(HEAD.format("sampler and steps"))
    print(bench.judge.real(), flush=True)
    found: dict[tuple[str, int], Row] = {}
    few = [(sampler, count) for sampler in SAMPLERS for count in STEPS]
    for sampler, count in (*few, ("ddim", full), ("ddpm", full)):
        way = Way(sampler, count)
        most = MOST_FULL if count == full else None
        found[sampler, count] = bench.row(str(way), bench.model, way, most)
        print(found[sampler, count], flush=True)
    print("\nOn the same images:\n")
    for one, other in ((("ddim", 40), ("ddim", full)), (("dpm_solver", 15), ("ddim", 40))):
        least = min(found[one].images, found[other].images)
        pair = [bench.row(str(Way(*way)), bench.model, Way(*way), least) for way in (one, other)]
        print(f"- {compared(*pair)}", flush=True)
    print(bench.judge.note())


def settings(bench: Bench) -> None:
    """How strictly images should follow their maps."""
    print(f"## Settings: {bench.model.card.name}, squares of 128²\n")
    print(HEAD.format("sampler, steps, guidance"))
    print(bench.judge.real(), flush=True)
    for way in (Way(*each, strength) for each in USUAL for strength in GUIDANCE):
        print(bench.row(str(way), bench.model, way), flush=True)
    print(bench.judge.note())


def compared(one: Row, other: Row) -> str:
    """By how much the first differs from the second."""
    figures = [(one.kid.value, other.kid.value), (one.fidelity.mean_iou, other.fidelity.mean_iou)]
    kid, fidelity = (f"{a:.3g} against {b:.3g} ({100 * (a / b - 1):+.1f} %)" for a, b in figures)
    within = other.kid.low <= one.kid.value <= other.kid.high
    return (
        f"{one.name}, against {other.name} ({one.images} images): KID {kid}, "
        f"{'within' if within else 'outside'} the interval of the latter; label fidelity {fidelity}"
    )


def ablation(bench: Bench) -> None:
    """How the map is told, and what blocks there are."""
    print(f"## Ablation: {bench.iterations} iterations each, width 20, {DEFAULT}\n")
    print(HEAD.format("difference from the first"))
    print(bench.judge.real(), flush=True)
    for name, options in ABLATION.items():
        own = "-".join(str(value) for value in options.values()) or "base"
        name_of = f"ablation {own} {bench.iterations}"
        recipe = diffusion(name_of, TRAINED, bench.iterations, **options)
        print(bench.row(name, bench.train(recipe)), flush=True)
    print(bench.judge.note())


def methods(bench: Bench) -> None:
    """Other methods of equal crops, batch and iterations."""
    hot = write_one_hot(bench.data, bench.work / "onehot")
    print(f"## Methods: {bench.iterations} iterations of 4 crops of 128², diffusion by {DEFAULT}\n")
    print(HEAD.format("method, training images"))
    print(bench.judge.real(), flush=True)
    floor = floor_of(bench)
    print(floor, flush=True)
    failed = []
    for size in SIZES:
        for family in METHODS:
            model = bench.train(method(family, size, bench.iterations, hot))
            row = bench.row(f"{family}, {size}", model)
            print(row, flush=True)
            failed += [f"- {row.name}: {problem}" for problem in problems(row, floor)]
    print(
        "\nSanity of each method (KID below that of flat greys, label fidelity above a constant):\n"
    )
    print("\n".join(failed) or "- all pass")
    print(bench.judge.note())


def floor_of(bench: Bench) -> Row:
    """Every class in its mean grey."""
    images, maps = (
        [section(bench.data, folder, number) for number in TRAINED] for folder in ("raw", "classes")
    )
    greys = mean_greys(images, maps)
    painted = [flat(labels, greys) for labels in bench.judge.drawn.maps]
    return bench.judge.row("every class in its mean grey", painted)


def problems(row: Row, floor: Row) -> Iterator[str]:
    """Why a method has not learnt, and so is no baseline."""
    if row.kid.value >= floor.kid.value:
        yield f"KID {row.kid.value:.3g} is not below that of flat greys, {floor.kid.value:.3g}"
    shares = [one.share for one in row.fidelity.classes]
    constant = max(shares) / len(shares)
    if row.fidelity.mean_iou <= constant:
        yield f"label fidelity {row.fidelity.mean_iou:.3f} is not above a constant's {constant:.3f}"


def usefulness(bench: Bench) -> None:
    """What synthetic images are worth as training images."""
    recipe = segmentation(bench.iterations)
    hot = bench.work / "onehot"
    tenth = bench.train(method("diffusion", "a tenth", bench.iterations, hot))
    every = [section(bench.data, "classes", number) for number in TRAINED]
    runs = {
        "a tenth of the real images; generator that learned from these, 4 images of each map":
            ("tenth", tenth, 1 / 11, None, 4),
        f"a tenth of the real images; {bench.model.card.name}, which learned from all, on all maps":
            ("maps", bench.model, 1 / 11, every, 1),
        f"all real images; {bench.model.card.name}, on their maps":
            ("all", bench.model, 1.0, every, 1),
    }  # fmt: skip
    print(f"## Usefulness: segmentation of {bench.iterations} iterations, {DEFAULT}\n")
    for title, (folder, model, part, maps, variants) in runs.items():
        settings = {"real_share": part, "maps": maps, "variants": variants}
        found = benchmarked(bench, model, recipe, bench.work / "usefulness" / folder, settings)
        print(f"### {title}\n\n{found.to_markdown()}\n", flush=True)


def benchmarked(
    bench: Bench, model: Model, recipe: TranslationRecipe, work: Path, settings: dict[str, Any]
) -> nt.SynthesisBenchmark:
    """The benchmark of a model, as far as time allows."""
    cancel = CancelToken()
    timer = threading.Timer(max(bench.deadline - time.monotonic(), 0), cancel.cancel)
    timer.start()
    try:
        return nt.benchmark_synthesis(
            model, bench.data, recipe, work=work, repeats=bench.repeats, device=bench.device,
            cancel=cancel, **DEFAULT.arguments, **settings,
        )  # fmt: skip
    except nt.Cancelled:
        raise Unfinished(f"{work.name} is not finished; the same command goes on.") from None
    finally:
        timer.cancel()


TASKS = {
    "steps": steps, "settings": settings, "ablation": ablation, "methods": methods,
    "usefulness": usefulness,
}  # fmt: skip


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Train, draw, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/synthesis"))
    parser.add_argument("--minutes", type=float, default=90, help="after which work pauses")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--model", default=STARTER, help="name or file of a denoiser")
    parser.add_argument("--segmenter", default=SEGMENTER)
    parser.add_argument("--inception", help="file of Inception weights; else learned features")
    parser.add_argument(
        "--sections", type=_numbers, default=TESTED, help="whose squares are drawn, as 13,14,15"
    )
    parser.add_argument("--images", type=int, default=16, help="squares that are drawn")
    parser.add_argument("--iterations", type=int, default=500, help="of each training")
    parser.add_argument("--repeats", type=int, default=2, help="of each segmentation")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    tune_allocator()
    deadline = time.monotonic() + 60 * options.minutes
    features = features_of(options.data, options.work, options.inception, options.device)
    judge = Judge(
        squares(options.data, options.sections),
        options.images,
        features,
        nt.load_model(options.segmenter),
    )
    bench = Bench(
        options.data, options.work, nt.load_model(options.model), judge, deadline, options.device,
        options.iterations, options.repeats,
    )  # fmt: skip
    try:
        for name in options.tasks.split(","):
            TASKS[name](bench)
    except Unfinished as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
