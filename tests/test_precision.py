from __future__ import annotations

import warnings

import pytest
import torch

from napari_tincture.errors import DeviceError, TinctureWarning
from napari_tincture.precision import has_bfloat16, resolve_precision, warn_if_slow

either_processor = pytest.mark.parametrize(
    "bfloat16_units", [True, False], indirect=True, ids=["units", "none"]
)


@either_processor
def test_auto_precision_is_float32(bfloat16_units: bool) -> None:
    assert resolve_precision("auto", "cpu") == "float32"
    assert resolve_precision("bfloat16", "cpu") == "bfloat16"


@either_processor
@pytest.mark.parametrize("precision", ["tf32", "float16"])
def test_a_precision_the_device_lacks_names_a_fast_one(
    precision: str, bfloat16_units: bool
) -> None:
    fast = "bfloat16" if bfloat16_units else "float32"
    with pytest.raises(DeviceError, match=f"Use '{fast}'"):
        resolve_precision(precision, "cpu")


def test_an_unknown_precision_lists_the_known_ones() -> None:
    with pytest.raises(DeviceError, match="Use 'auto' or one of float32, tf32"):
        resolve_precision("half", "cpu")


@either_processor
def test_only_bfloat16_without_units_is_warned_of(bfloat16_units: bool) -> None:
    assert has_bfloat16("cpu") == bfloat16_units
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for precision in ("auto", "float32", "bfloat16"):
            warn_if_slow(precision, "cpu", "staining")
    found = [str(warning.message) for warning in told if warning.category is TinctureWarning]
    assert len(found) == (not bfloat16_units)
    assert all("staining can take ten times" in text for text in found)
    assert all("precision='auto'" in text for text in found)


@pytest.mark.parametrize("name", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_either_kind_of_units_will_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, each, lambda own=each: own == name)
    assert has_bfloat16("cpu")
