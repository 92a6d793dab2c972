"""Published checkpoints as models: the published numbers, whole and in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import of_channels
from published_maps import label_channels
from references import recorded

import napari_tincture as nt
from napari_tincture.models import read_card
from napari_tincture.models.shipped import VARIABLE

DATA = Path(__file__).parents[1] / "data"
FILES = {
    "cyclegan_tiny_resnet9": "cyclegan_tiny_resnet9",
    "pix2pix_tiny_unet256": "pix2pix_tiny_unet256",
    "attentiongan_tiny_v2": "attentiongan_tiny_v2",
    "bayes_cyclegan_tiny_z": "bayes_cyclegan_tiny_z",
    "pix2pixhd_tiny_global": "pix2pixhd_tiny_global",
    "spade_tiny_normal": "spade_tiny_normal",
    "ugatit_tiny_full": "ugatit_tiny_full_params_0000000.pt",
}
NOISE = {
    "cyclegan_tiny_resnet9": 2.26e-6,
    "pix2pix_tiny_unet256": 5.35e-7,
    "attentiongan_tiny_v2": 4.74e-6,
    "bayes_cyclegan_tiny_z": 1.80e-6,
    "pix2pixhd_tiny_global": 2.54e-6,
    "spade_tiny_normal": 3.73e-6,
    "ugatit_tiny_full": 1.00e-5,
}
"""What float32 and float64 runs of the published implementations differ by."""
_MADE: dict[str, nt.Model] = {}


def model_of(name: str) -> nt.Model:
    if name not in _MADE:
        _MADE[name] = nt.import_checkpoint(DATA / FILES[name])
    return _MADE[name]


def agree(name: str, found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=10 * NOISE[name])


def test_cyclegan_agrees() -> None:
    name = "cyclegan_tiny_resnet9"
    model, arrays = model_of(name), recorded(name)
    with torch.inference_mode():
        agree(name, model.network(arrays["x"]), arrays["G_A"])
        agree(name, model.network(arrays["x_rect"]), arrays["G_A_rect"])
        agree(name, model.part("backward")(arrays["x"]), arrays["G_B"])
        agree(name, model.part("discriminator")(arrays["x"]), arrays["D_A"])
        agree(name, model.part("discriminator_backward")(arrays["x"]), arrays["D_B"])


def test_pix2pix_agrees_with_either_statistics() -> None:
    name = "pix2pix_tiny_unet256"
    model, arrays = model_of(name), recorded(name)
    of_image = nt.import_checkpoint(DATA / name, batch_statistics=True)
    with torch.inference_mode():
        agree(name, model.network(arrays["x"]), arrays["y_eval"])
        # Ten times the noise of the run with batch statistics.
        found = of_image.network(arrays["x"])
        torch.testing.assert_close(found, arrays["y_train"], rtol=0, atol=2.24e-5)


def test_attentiongan_agrees() -> None:
    name = "attentiongan_tiny_v2"
    model, arrays = model_of(name), recorded(name)
    with torch.inference_mode():
        known = model.network.detailed(arrays["x"])  # type: ignore[operator]
        agree(name, known["image"], arrays["fake"])
        agree(name, known["attention"], arrays["attention"])
        agree(name, known["content"][:1], arrays["content"])
        agree(name, model.part("backward")(arrays["x"]), arrays["G_B_fake"])
        agree(name, model.part("discriminator")(arrays["x"]), arrays["D_A"])
    assert "discriminator_backward" not in model.card.parts


def test_bayesian_cyclegan_agrees() -> None:
    name = "bayes_cyclegan_tiny_z"
    model, arrays = model_of(name), recorded(name)
    latent = arrays["infer_z_y"].expand(1, 1, 64, 64)
    with torch.inference_mode():
        found = model.network(torch.cat([arrays["train_A"], latent], 1))
        agree(name, found, arrays["infer_fake_B"])
        scales = model.part("discriminator_backward")(arrays["x"])
        for number, (scores,) in enumerate(scales):
            agree(name, scores, arrays[f"D_B_scale{number}"])
    assert [channel.source for channel in model.card.inputs] == ["image"] * 3 + ["noise"]


def test_pix2pixhd_agrees() -> None:
    name = "pix2pixhd_tiny_global"
    model, arrays = model_of(name), recorded(name)
    labels = label_channels(arrays["label"], 5, arrays["inst"])
    found = model.predict(labels)
    agree(name, found, arrays["G"])
    shown = torch.cat([labels, arrays["G"]], 1)
    with torch.inference_mode():
        scales = model.part("discriminator")(shown)
    for number, maps in enumerate(scales):
        agree(name, maps[-1], arrays[f"D{number}_pred"])


def test_spade_agrees() -> None:
    name = "spade_tiny_normal"
    model, arrays = model_of(name), recorded(name)
    labels = label_channels(arrays["label"], 6, arrays["instance"])
    agree(name, model.predict(labels), arrays["G_eval"])
    shown = torch.cat([labels, arrays["G_eval"]], 1)
    with torch.inference_mode():
        scales = model.part("discriminator")(shown)
    for number, maps in enumerate(scales):
        agree(name, maps[-1], arrays[f"D{number}_pred"])


def test_ugatit_agrees() -> None:
    name = "ugatit_tiny_full"
    model, arrays = model_of(name), recorded(name)
    parts = {
        "disGA": "discriminator_backward", "disGB": "discriminator",
        "disLA": "discriminator_local_backward", "disLB": "discriminator_local",
        "genB2A": "backward",
    }  # fmt: skip
    networks = {"genA2B": model.network} | {key: model.part(part) for key, part in parts.items()}
    with torch.inference_mode():
        for key, network in networks.items():
            known = network.detailed(arrays["x"])  # type: ignore[operator]
            agree(name, known["cam_logit"], arrays[f"{key}_cam_logit"])
            agree(name, known["heatmap"], arrays[f"{key}_heatmap"])
            if key.startswith("dis"):
                agree(name, known["scores"], arrays[f"{key}_out"])
        agree(name, model.network(arrays["x"]), arrays["genA2B_out"])


@pytest.mark.parametrize("name", [key for key in FILES if key != "pix2pix_tiny_unet256"])
def test_tiles_give_the_whole_images_values(name: str) -> None:
    model = model_of(name)
    card = model.card
    if card.task == "synthesize":
        model = of_channels(model)
    elif card.noise_inputs:
        model = of_channels(model.with_card(card.replace(parts={})))
    image = np.random.default_rng(0).random((len(model.card.inputs), 150, 100), dtype=np.float32)
    tiled = nt.stain(
        nt.open_image(image, axes="cyx"), model, tile=64, context="exact", dtype="float32"
    )
    expected = model.predict(torch.from_numpy(image)[None])[0].numpy()
    result = np.asarray(tiled)
    if model.card.rgb_output:
        result = np.moveaxis(result, -1, 0) if result.shape[-1] == 3 else result
    # Tiles round differently from the whole; the published noise is that of one pass.
    np.testing.assert_allclose(result, expected, rtol=0, atol=10 * NOISE[name])


def test_the_card_says_what_is_known() -> None:
    card = model_of("cyclegan_tiny_resnet9").card
    assert (card.name, card.family, card.task) == ("cyclegan_tiny_resnet9", "cyclegan", "stain")
    assert card.rgb_input
    assert card.rgb_output
    assert (card.stride, card.halo, card.exact) == (4, 84, True)
    assert card.normalisation.span == card.output_range == (-1, 1)
    assert {"reconstruction", "cycle_error", "realism"} <= set(card.offers)
    assert "ask who trained it" in card.licence
    assert "arXiv" in card.citation
    assert dict(model_of("ugatit_tiny_full").card.extras) == {"heatmap": 1}


def test_an_import_into_the_library_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    shipped = [card.name for card in nt.list_models()]
    source = DATA / "bayes_cyclegan_tiny_z"
    first = nt.import_checkpoint(source, save_to="library", name="day 3: blue", pixel_size=0.5)
    second = nt.import_checkpoint(source, save_to="library", name="day 3: blue")
    assert [first.card.name, second.card.name] == ["day-3-blue", "day-3-blue-2"]
    listed = [card.name for card in nt.list_models()]
    assert listed == [*shipped, "day-3-blue", "day-3-blue-2"]
    again = nt.load_model("day-3-blue")
    assert again.card == first.card
    assert again.card.pixel_size == 0.5
    for key, value in model_of("bayes_cyclegan_tiny_z").part("backward").state_dict().items():
        assert torch.equal(again.part("backward").state_dict()[key], value)


def test_a_damaged_file_in_the_library_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    shipped = nt.list_models()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (tmp_path / f"{shipped[0].name}.safetensors").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match=r"broken\.safetensors"):
        assert nt.list_models() == shipped
    before = len(recwarn)
    assert nt.list_models() == shipped
    assert len(recwarn) == before


def test_a_file_of_ones_own_is_written(tmp_path: Path) -> None:
    target = tmp_path / "new" / "hd.safetensors"
    model = nt.import_checkpoint(DATA / "pix2pixhd_tiny_global", save_to=target)
    card = read_card(target)
    assert model.card == card
    assert card.task == "synthesize"


def test_inspection_builds_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    tensor = torch.nn.Conv2d.reset_parameters

    def noted(layer: torch.nn.Conv2d) -> None:
        made.append(layer.weight.device.type)
        tensor(layer)

    monkeypatch.setattr(torch.nn.Conv2d, "reset_parameters", noted)
    nt.inspect_checkpoint(DATA / "cyclegan_tiny_resnet9")
    assert set(made) == {"meta"}
