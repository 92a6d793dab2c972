from __future__ import annotations

import pytest
from torch import nn

from napari_tincture.errors import ModelError
from napari_tincture.models import architecture_names, architectures, registry
from napari_tincture.models.registry import find_build


class Point:
    """An installed entry point."""

    name = "theirs"

    def load(self) -> type[nn.Module]:
        return nn.Identity


def test_every_file_with_a_network_is_found_by_its_name() -> None:
    assert {"unet", "resnet_generator", "unet_generator"} <= set(architecture_names())
    assert "card" not in architecture_names()
    assert all(callable(build) for build in architectures().values())


def test_other_packages_add_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()])
    assert "theirs" in architecture_names()
    assert isinstance(registry.build_network("theirs", {}), nn.Identity)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ModelError, match=r"known are .*resnet_generator"):
        find_build("transformer")
