from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_tincture.errors import ModelError, OutputError
from napari_tincture.models import Channel, Model, ModelCard, load_model, read_card
from napari_tincture.models.networks.unet import SMALL
from napari_tincture.models.registry import build_network


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    card = ModelCard(
        name="small",
        task="stain",
        architecture="unet",
        options=SMALL,
        inputs=(Channel("a"), Channel("b")),
        outputs=(Channel("c"), Channel("d"), Channel("e")),
        stride=4,
    )
    return Model(build_network("unet", SMALL), card)


def test_saved_and_loaded_gives_the_same_numbers(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    again = load_model(path)
    assert again.card == model.card
    assert again.fingerprint == model.fingerprint
    image = torch.rand(1, 2, 19, 23)
    torch.testing.assert_close(again.predict(image), model.predict(image), rtol=0, atol=0)


def test_opening_draws_no_weights(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    state = torch.get_rng_state()
    assert load_model(path).network is not None
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_is_loaded_as_float32(model: Model, tmp_path: Path) -> None:
    full = model.save(tmp_path / "full.safetensors")
    half = model.save(tmp_path / "half.safetensors", half=True)
    assert half.stat().st_size < full.stat().st_size
    again = load_model(half)
    assert {p.dtype for p in again.network.parameters()} == {torch.float32}
    image = torch.rand(1, 2, 16, 16)
    # float16 has a relative step of 2⁻¹¹ per weight; a handful of layers adds them up.
    torch.testing.assert_close(again.predict(image), model.predict(image), rtol=0.02, atol=0.02)


def test_weights_beyond_float16_are_kept(model: Model, tmp_path: Path) -> None:
    with torch.no_grad():
        model.network.last.bias.fill_(1e6)
    again = load_model(model.save(tmp_path / "m.safetensors", half=True))
    assert float(again.network.last.bias.detach()[0]) == 1e6


def test_a_card_is_read_without_torch(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    code = (
        "import sys; from napari_tincture.models import read_card, list_models, "
        "architecture_names; list_models(); architecture_names(); "
        f"print(read_card({str(path)!r}).name); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "small", done.stderr


def test_an_existing_file_survives_a_failed_save(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="safetensors"):
        model.save(tmp_path / "m.pth")
    with pytest.raises(OutputError, match="Cannot write"):
        model.save(tmp_path / "missing" / "m.safetensors")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_pickles_are_refused_unopened(writer: str, tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "m.safetensors"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Trap(trap)))
    else:
        torch.save(Trap(trap), path)
    with pytest.raises(ModelError, match="pickle"):
        load_model(path)
    assert not trap.exists()


def test_cut_off_and_foreign_files_are_refused(model: Model, tmp_path: Path) -> None:
    whole = model.save(tmp_path / "m.safetensors").read_bytes()
    bad = tmp_path / "bad.safetensors"
    for content in (b"", b"\x01", whole[:50], whole[:-10], whole + b"12", b"no model" * 100):
        bad.write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.safetensors"):
            load_model(bad)
    length = int.from_bytes(whole[:8], "little")
    bad.write_bytes(whole[:8] + b"[]".ljust(length) + whole[8 + length :])
    with pytest.raises(ModelError, match="damaged or foreign"):
        load_model(bad)
    header = json.loads(whole[8 : 8 + length])
    header[next(k for k in header if k != "__metadata__")] = {}
    text = json.dumps(header).encode()
    bad.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    with pytest.raises(ModelError, match="damaged header"):
        load_model(bad)


def test_safetensors_of_others_need_a_card(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="without a model card"):
        read_card(path)


def test_an_unknown_architecture_lists_the_known(model: Model, tmp_path: Path) -> None:
    path = model.with_card(model.card.replace(architecture="gan9")).save(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=r"'gan9'; known are .*unet"):
        load_model(path)


def test_other_shapes_and_options_are_named(model: Model, tmp_path: Path) -> None:
    wider = model.card.replace(options=SMALL | {"width": 5})
    path = model.with_card(wider).save(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=r"do not fit.*file"):
        _ = load_model(path).network
    strange = model.card.replace(options={"flavour": 1})
    path = model.with_card(strange).save(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="does not take the options"):
        _ = load_model(path).network


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(ModelError, match="'no-such-model'"):
        load_model("no-such-model")


def test_the_fingerprint_ignores_texts_and_sees_weights(model: Model) -> None:
    told = model.with_card(model.card.replace(description="x", figures={"ssim": 1.0}))
    assert told.fingerprint == model.fingerprint
    ranged = model.with_card(model.card.replace(output_range=(-1.0, 1.0)))
    assert ranged.fingerprint != model.fingerprint
    before = model.fingerprint
    with torch.no_grad():
        model.network.last.bias.add_(1)
    assert Model(model.network, model.card).fingerprint != before
