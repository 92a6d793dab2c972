"""A generator and a discriminator that play, with an image pool and dropout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.training.adversarial import adversarial
from napari_tincture.training.objective import Batch, fixed

POOL = 2


class Game:
    """Two groups; what it remembers decides what it learns."""

    groups: Mapping[str, tuple[str, ...]] = {
        "generators": ("forward",),
        "discriminators": ("discriminator",),
    }

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.networks = {
            "forward": nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
                nn.Conv2d(4, 1, 3, padding=1),
            ),
            "discriminator": nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3)),
        }  # fmt: skip
        self.pool: list[Tensor] = []
        self.draws = torch.Generator().manual_seed(seed)

    def step(self, batch: Batch, update: Callable[[str, Tensor], None]) -> dict[str, Tensor]:
        judge = self.networks["discriminator"]
        fake = self.networks["forward"](batch["a"])
        with fixed(judge):
            loss = adversarial(judge(fake), True) + (fake - batch["b"]).abs().mean()
            update("generators", loss)
        shown = self._from_pool(fake.detach())
        judged = adversarial(judge(batch["b"]), True) + adversarial(judge(shown), False)
        update("discriminators", 0.5 * judged)
        return {"G": loss.detach(), "D": judged.detach()}

    def _from_pool(self, fake: Tensor) -> Tensor:
        self.pool.append(fake)
        if len(self.pool) <= POOL:
            return fake
        return self.pool.pop(int(torch.randint(POOL + 1, (), generator=self.draws)))

    def state_dict(self) -> dict[str, Any]:
        return {"pool": list(self.pool), "draws": self.draws.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.pool = list(state["pool"])
        self.draws.set_state(state["draws"])


def play(step: int) -> dict[str, Tensor]:
    """The batch of a step."""
    draws = torch.Generator().manual_seed(step)
    return {name: torch.rand(1, 1, 12, 12, generator=draws) for name in "ab"}
