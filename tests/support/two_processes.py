"""What `test_fabric` runs in two processes that train together."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from game import Game, play
from torch import Tensor, nn

from napari_tincture.errors import TrainingError
from napari_tincture.training.fabric import start_fabric
from napari_tincture.training.log import CsvLog
from napari_tincture.training.loop import Trainer
from napari_tincture.training.losses import LossTerm
from napari_tincture.training.objectives.regression import Regression
from napari_tincture.training.schedule import Schedule

SCHEDULE = Schedule(steps=5, lr=0.01, warmup=2, save_every=3, validate_every=5)


def regression(seed: int) -> Regression:
    torch.manual_seed(seed)
    layers = (nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))
    return Regression({"forward": nn.Sequential(*layers)}, (LossTerm("mse"), LossTerm("l1")))


def pairs(step: int) -> dict[str, Tensor]:
    """Two pairs, one for each process."""
    draws = torch.Generator().manual_seed(step)
    return {name: torch.rand(2, 2, 12, 12, generator=draws) for name in "ab"}


def main(out: Path) -> None:
    fabric = start_fabric(2, accelerator="cpu")
    rank = fabric.global_rank
    trainer = Trainer(regression(seed=rank), SCHEDULE, fabric=fabric)
    assert trainer.rank == rank

    def own(step: int) -> dict[str, Tensor]:
        return {name: images[rank : rank + 1] for name, images in pairs(step).items()}

    folder = out / str(rank)
    networks = trainer.run(
        own, lambda _: {"score": 1.0}, folder / "a.checkpoint", logs=[CsvLog(folder / "a.csv")]
    )
    torch.save({**networks["forward"].state_dict(), "history": trainer.history}, out / f"{rank}.pt")

    # Each has a pool and dropout of its own, and finds them again.
    whole = play_on(fabric, 6, None)
    path = out / "game.checkpoint"
    play_on(fabric, 4, path)
    resumed = play_on(fabric, 6, path)
    for one, other in zip(whole.objective.pool, resumed.objective.pool, strict=True):
        assert torch.equal(one, other)
    for name, network in whole.networks().items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, resumed.networks()[name].state_dict()[key]), (name, key)
    torch.save(whole.objective.pool, out / f"pool {rank}.pt")

    factor = float("nan") if rank else 1.0
    try:
        trainer.step = 0
        trainer.advance(lambda step: {name: x * factor for name, x in own(step).items()})
    except TrainingError:
        (out / f"stopped {rank}").touch()


def play_on(fabric: object, steps: int, path: Path | None) -> Trainer:
    schedule = Schedule(steps=steps, lr=0.01, decay="constant", warmup=0)
    made = Trainer(Game(), schedule, fabric=fabric)
    made.run(play, None, path)
    return made


if __name__ == "__main__":
    main(Path(sys.argv[1]))
