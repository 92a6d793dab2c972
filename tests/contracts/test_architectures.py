"""What every architecture promises; a new one is tested here without an edit."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import (
    Channel,
    Model,
    ModelCard,
    architecture_names,
    load_model,
)
from napari_tincture.models.registry import build_network

NAMES = architecture_names()


def small_options(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"napari_tincture.models.networks.{name}")
    return dict(module.SMALL)


def small_model(name: str) -> Model:
    torch.manual_seed(0)
    options = small_options(name)
    network = build_network(name, options)
    card = ModelCard(
        name=f"small {name}",
        task="stain",
        architecture=name,
        options=options,
        inputs=tuple(Channel(f"in {i}") for i in range(options["in_channels"])),
        outputs=tuple(Channel(f"out {i}") for i in range(options["out_channels"])),
        stride=32,
        border="mirror" if getattr(network, "margin", 0) else "clip",
        margin=getattr(network, "margin", 0),
        residue=getattr(network, "residue", 0),
    )
    return Model(network, card)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(64, 64), (70, 41), (5, 3)])
def test_output_has_the_size_of_the_input(name: str, shape: tuple[int, int]) -> None:
    model = small_model(name)
    image = torch.rand(2, len(model.card.inputs), *shape)
    result = model.predict(image)
    assert result.shape == (2, len(model.card.outputs), *shape)
    assert result.dtype == torch.float32
    assert bool(result.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_is_the_same_model(name: str, tmp_path: Path) -> None:
    model = small_model(name)
    again = load_model(model.save(tmp_path / "m.safetensors"))
    image = torch.rand(1, len(model.card.inputs), 64, 64)
    assert again.card == model.card
    assert again.fingerprint == model.fingerprint
    torch.testing.assert_close(again.predict(image), model.predict(image), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_other_numbers_of_channels_are_refused(name: str) -> None:
    model = small_model(name)
    with pytest.raises(InputError, match="channels"):
        model.predict(torch.rand(1, len(model.card.inputs) + 1, 64, 64))


@pytest.mark.parametrize("name", NAMES)
def test_prediction_changes_nothing_about_the_network(name: str) -> None:
    model = small_model(name)
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    modes = [module.training for module in model.network.modules()]
    model.predict(torch.rand(1, len(model.card.inputs), 64, 64))
    assert [module.training for module in model.network.modules()] == modes
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="no_such_option"):
        build_network(name, {"no_such_option": 1})
