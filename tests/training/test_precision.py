from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import TinctureWarning
from napari_tincture.training.precision import DTYPES, chosen_precision, reduced

CPU = torch.device("cpu")


class Both(nn.Module):
    """A network with extras, which keeps the type it computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)
        self.inside: list[torch.dtype] = []

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        y = self.layer(x)
        self.inside.append(y.dtype)
        return {"image": y, "counts": torch.ones(1, dtype=torch.int64)}

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        found = self.detailed(x)
        return found["image"], list(found.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_networks_compute_in_it_and_give_float32(precision: str) -> None:
    network, x = Both(), torch.ones(1, 1, 2, 2)
    with reduced([network], precision, CPU):
        image, (again, counts) = network(x)
        detailed = network.detailed(x)
    assert network.inside == [DTYPES[precision]] * 2
    assert {image.dtype, again.dtype, detailed["image"].dtype} == {torch.float32}
    assert counts.dtype == torch.int64
    assert "detailed" not in vars(network)
    network(x)
    assert network.inside[-1] == torch.float32


@pytest.mark.parametrize(
    ("bfloat16_units", "expected"), [(True, "bfloat16"), (False, "float32")],
    indirect=["bfloat16_units"],
)  # fmt: skip
def test_auto_is_bfloat16_where_there_are_units(bfloat16_units: bool, expected: str) -> None:
    assert chosen_precision("auto", CPU) == expected


@pytest.mark.parametrize("bfloat16_units", [False], indirect=True)
def test_who_insists_gets_bfloat16_and_a_remedy(bfloat16_units: bool) -> None:
    with pytest.warns(TinctureWarning, match="step of the training.*'auto' or 'float32'") as told:
        assert chosen_precision("bfloat16", CPU) == "bfloat16"
    assert len(told) == 1
