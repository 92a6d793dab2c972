from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from known_denoisers import normal
from small_denoisers import SmallDenoiser, StopsAt
from torch import Tensor, nn

from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.models.denoising import Denoising
from napari_tincture.out_of_memory import OutOfMemory
from napari_tincture.torch_settings import switches

X, CONDITION = normal((2, 2, 8, 8)), normal((2, 3, 8, 8), 1)
GUIDED = Denoising(guided=True)


def test_without_guidance_it_is_the_network() -> None:
    network = SmallDenoiser()
    asking = Asking(network, Denoising())
    with asking.session():
        found = asking(X, 400.5, CONDITION)
    x, time, condition = network.given[-1]
    assert torch.equal(x, X)
    assert torch.equal(condition, CONDITION)
    assert torch.equal(time, torch.tensor([400.5, 400.5]))
    with torch.inference_mode():
        # As it was given: other layouts in memory are other kernels, and other roundings.
        wanted = network(x, time, condition)
    assert torch.equal(found, wanted)
    assert asking.evaluations == 1


@pytest.mark.parametrize("learned", [False, True])
def test_guidance_leads_away_from_the_empty_map(learned: bool) -> None:
    network = SmallDenoiser(outputs=4 if learned else 2)
    asking = Asking(network, GUIDED, guidance=3.0)
    with asking.session():
        found = asking(X, 10, CONDITION)
        shown, empty = (
            Asking(network, GUIDED)(X, 10, c) for c in (CONDITION, torch.zeros_like(CONDITION))
        )
    # Ho and Salimans 2022, equation 6, in their terms: (1 + w) shown - w empty, w = s - 1.
    torch.testing.assert_close(found[:, :2], 3 * shown[:, :2] - 2 * empty[:, :2])
    assert torch.equal(found[:, 2:], shown[:, 2:])
    assert asking.evaluations == 2


@pytest.mark.parametrize("style", [torch.tensor([3]), torch.tensor([[1.0, 2.0, 5.0]])], ids=str)
def test_each_window_has_the_style(style: Tensor) -> None:
    network = SmallDenoiser()
    asking = Asking(network, Denoising(), style=style)
    with asking.session():
        asking(X, 10, CONDITION)
    assert torch.equal(network.given[-1][3], torch.cat([style, style]))


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_what_is_given_back_is_float32(precision: str) -> None:
    asking = Asking(SmallDenoiser(), GUIDED, guidance=2.0, precision=precision)
    exact = Asking(SmallDenoiser(), GUIDED, guidance=2.0)
    before = switches()
    with asking.session():
        found = asking(X, 10, CONDITION)
    assert switches() == before
    with exact.session():
        wanted = exact(X, 10, CONDITION)
    assert found.dtype == torch.float32
    # Values around 1; some products of 2⁻⁸ or 2⁻¹¹ each, three times so with guidance.
    tolerance = {"bfloat16": 0.05, "float16": 0.01}.get(precision, 0)
    assert (found - wanted).abs().max() <= tolerance


def test_networks_are_told_what_they_know() -> None:
    schedule = noise_schedule("linear", 1000)
    assert Asking(SmallDenoiser(), Denoising()).told(schedule, 400.5) == 400.5
    level = Asking(SmallDenoiser(), Denoising(time="level")).told(schedule, 400)
    assert level == pytest.approx(np.prod(1 - schedule.betas[:401]) ** 0.5, rel=1e-13)


def test_schedules_are_those_of_the_card() -> None:
    card = Denoising(schedule={"name": "linear", "steps": 20, "start": 1e-6, "end": 1e-2})
    np.testing.assert_array_equal(
        Asking(SmallDenoiser(), card).schedule.betas, np.linspace(1e-6, 1e-2, 20)
    )


def test_a_run_ends_before_the_next_question() -> None:
    network = SmallDenoiser()
    asking = Asking(network, Denoising(), check=StopsAt(2))
    asking(X, 10, CONDITION)
    asking(X, 10, CONDITION)
    with pytest.raises(Cancelled):
        asking(X, 10, CONDITION)
    assert network.calls == 2


class Greedy(nn.Module):
    """Finds no memory."""

    def forward(self, *given: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_want_of_memory_is_told_apart() -> None:
    with pytest.raises(OutOfMemory):
        Asking(Greedy(), Denoising())(X, 10, CONDITION)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guidance": 0.5}, r"guidance=0\.5: expected 1 \(none\) or more"),
        ({"guidance": float("nan")}, "guidance=nan: expected 1"),
        ({"guidance": 2.0}, "guidance=2: this model never learned .* Use guidance=1"),
        ({"precision": "half"}, "precision='half': expected one of 'float32', 'tf32', 'bfloat16'"),
    ],
)
def test_what_cannot_be_asked_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Asking(SmallDenoiser(), Denoising(), **settings)
