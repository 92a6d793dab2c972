"""What a network makes of a map is made once, changes no bit, and goes first where memory ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
import torch
from painters import denoiser, label_map

import napari_tincture as nt
from napari_tincture.errors import TinctureWarning
from napari_tincture.models.layers.map_memory import MapMemory
from napari_tincture.models.layers.spade import SpadeGroupNorm
from napari_tincture.tasks import _artist

MODEL = denoiser()
NORMS = sum(isinstance(m, SpadeGroupNorm) for m in MODEL.network.modules())
GUIDED = {"steps": 4, "guidance": 2.0}


@contextmanager
def counted() -> Iterator[list[tuple[int, ...]]]:
    """The shapes of maps that norms were asked to make."""
    asked, make = [], SpadeGroupNorm._maps

    def counting(self: SpadeGroupNorm, label: torch.Tensor, shape: torch.Size) -> object:
        asked.append(tuple(shape))
        return make(self, label, shape)

    with patch.object(SpadeGroupNorm, "_maps", counting):
        yield asked


def test_each_window_is_made_once_and_the_empty_map_once_for_all() -> None:
    labels = label_map(32, 56)  # two windows
    with counted() as asked:
        np.asarray(nt.synthesize(labels, MODEL, **GUIDED))
    assert NORMS > 0
    assert len(asked) == (2 + 1) * NORMS


@pytest.mark.parametrize("budget", [0, 20_000])
def test_no_bit_changes_with_less_memory(monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    labels = label_map(48, 60)
    expected = nt.synthesize(labels, MODEL, dtype="float32", **GUIDED).compute()
    enough, room = 10**9, _artist.REMEMBERED * budget
    monkeypatch.setattr(
        _artist, "memory_budget", lambda device: enough if device == "auto" else room
    )
    monkeypatch.setattr(_artist, "free_memory", lambda device: enough)
    with counted() as asked:
        found = nt.synthesize(labels, MODEL, dtype="float32", **GUIDED).compute()
    assert len(asked) > (4 + 1) * NORMS
    np.testing.assert_array_equal(found, expected)


def test_maps_are_forgotten_before_windows_become_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = label_map(48, 60)
    expected = nt.synthesize(labels, MODEL, **GUIDED).compute()
    recall = MapMemory.recall

    def scarce(self: MapMemory, *args: object) -> object:
        if self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return recall(self, *args)

    monkeypatch.setattr(MapMemory, "recall", scarce)
    result = nt.synthesize(labels, MODEL, **GUIDED)
    np.testing.assert_array_equal(result.compute(), expected)
    assert result.runner.facts()["events"] == ["memory ran out: nothing of the map is remembered"]


def test_then_windows_become_smaller_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _artist.Asking._run

    def scarce(self: object, x: torch.Tensor, *args: object) -> torch.Tensor:
        if x.shape[-1] > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(self, x, *args)

    monkeypatch.setattr(_artist.Asking, "_run", scarce)
    result = nt.synthesize(label_map(48, 60), MODEL, steps=2)
    with pytest.warns(TinctureWarning, match="Memory ran out: windows of 16 instead of 32"):
        assert result.compute().std() > 0


def test_layers_alone_remember_nothing() -> None:
    norm = SpadeGroupNorm(4, 3, 4, 2)
    x, label = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 8, 8)
    with counted() as asked, torch.no_grad():
        one, two = norm(x, label), norm(x, 1 - label)
    assert len(asked) == 2
    assert not torch.equal(one, two)
