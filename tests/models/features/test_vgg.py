from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.features.vgg import Vgg19, load_vgg
from napari_tincture.models.registry import architecture_names
from napari_tincture.models.user_weights import VGG

PLACES = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28,))
"""Of the convolutions among torchvision's layers, by block."""


def save(path: Path, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state = {key: value.half() for key, value in Vgg19().state_dict().items()}
    torch.save({**{k: v.float() for k, v in state.items()}, **more}, path)
    return {key: value.float() for key, value in state.items()}


def test_features_of_the_users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file of torchvision holds more than is needed.
    more = {"features.34.bias": torch.zeros(1), "classifier.0.weight": torch.zeros(1)}
    state = save(tmp_path / "vgg.pth", **more)
    assert set(state) == {
        f"features.{n}.{kind}" for block in PLACES for n in block for kind in ("weight", "bias")
    }
    monkeypatch.setenv(VGG.variable, str(tmp_path / "vgg.pth"))
    network = load_vgg()
    x = torch.randn(1, 3, 24, 16)
    with torch.no_grad():
        found = network(x)
        for number, block in enumerate(PLACES):
            x = F.max_pool2d(x, 2) if number else x
            for layer, place in enumerate(block):
                weight, bias = (state[f"features.{place}.{kind}"] for kind in ("weight", "bias"))
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
                if layer == 0:
                    torch.testing.assert_close(found[number], x)
    assert len(found) == 5
    assert not any(weight.requires_grad for weight in network.parameters())
    assert "vgg" not in architecture_names()


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VGG.variable, raising=False)
    with pytest.raises(InputError, match=r"vgg19-dcbb9e9d\.pth.*NAPARI_TINCTURE_VGG19"):
        load_vgg()
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="25 tensors differ"):
        load_vgg(tmp_path / "other.pth")
