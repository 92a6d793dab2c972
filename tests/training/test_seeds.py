from __future__ import annotations

import contextlib
import random

import numpy as np
import torch

from napari_tincture.training.seeds import seeded

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float]:
    return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002


def test_draws_depend_on_seed_step_and_process_alone() -> None:
    seen = {}
    for place in [(1, 2, 0), (1, 3, 0), (2, 2, 0), (1, 2, 1)]:
        with seeded(*place, CPU):
            seen[place] = draw()
    for values in zip(*seen.values(), strict=True):
        assert len(set(values)) == len(seen)
    with seeded(1, 2, 0, CPU):
        assert draw() == seen[1, 2, 0]


def test_the_draws_of_others_go_on_as_if_nothing_had_been() -> None:
    def three(between: bool) -> list[tuple[float, float, float]]:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        first = draw()
        if between:
            with contextlib.suppress(KeyError), seeded(5, 5, 0, CPU):
                draw()
                raise KeyError
        return [first, draw()]

    assert three(between=True) == three(between=False)
