"""Published checkpoints: recognised by their tensors, whatever their options and wrappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from published_files import made, with_new_spectral_norm, with_old_statistics, wrapped, write

from napari_tincture.errors import ModelError
from napari_tincture.models.card import Part
from napari_tincture.models.checkpoints._found import Found
from napari_tincture.models.imported import convert, families, inspect

DATA = Path(__file__).parents[1] / "data"
RESNET = {"ngf": 2, "n_blocks": 1}
SPADE = {"in_channels": 3, "ngf": 2, "hidden": 2}
HD = {"ngf": 2, "n_blocks_global": 1}

VARIANTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("cyclegan", "pair", "resnet_generator", {**RESNET, "n_blocks": 6}),
    ("cyclegan", "pair", "resnet_generator", {**RESNET, "norm": "batch"}),
    ("cyclegan", "pair", "resnet_generator", {**RESNET, "norm": "none", "dropout": True}),
    ("cyclegan", "pair", "resnet_generator", {**RESNET, "padding": "zero", "dropout": True}),
    ("cyclegan", "pair", "resnet_generator", {**RESNET, "in_channels": 1, "out_channels": 1}),
    ("cyclegan", "pair", "unet_generator", {"ngf": 2, "num_downs": 6, "norm": "instance"}),
    ("cyclegan", "one", "resnet_generator", {**RESNET, "n_blocks": 9}),
    ("pix2pix", "one", "unet_generator", {"ngf": 2, "num_downs": 7}),
    ("pix2pix", "one", "unet_generator", {"ngf": 2, "num_downs": 5, "norm": "none"}),
    ("pix2pix", "one", "resnet_generator", {**RESNET, "norm": "batch"}),
    ("attentiongan", "pair", "attention_generator", {**RESNET, "version": "geo"}),
    ("attentiongan", "pair", "attention_generator", {**RESNET, "version": "v1"}),
    ("attentiongan", "one", "attention_generator", {**RESNET, "version": "v2"}),
    ("bayesian_cyclegan", "pair", "bayesian_generator", {**HD, "n_downsample_global": 4}),
    ("bayesian_cyclegan", "pair", "bayesian_generator", {**HD, "norm": "batch"}),
    ("pix2pixhd", "one", "pix2pixhd", {**HD, "in_channels": 9, "n_downsample_global": 2}),
    ("pix2pixhd", "one", "pix2pixhd", {**HD, "in_channels": 3, "norm": "batch"}),
    (
        "pix2pixhd", "one", "pix2pixhd",
        {
            **HD, "in_channels": 5, "netG": "local", "n_blocks_local": 2, "n_local_enhancers": 2,
            "n_downsample_global": 1,
        },
    ),
    ("spade", "one", "spade", {**SPADE, "in_channels": 4}),
    ("spade", "one", "spade", {**SPADE, "num_upsampling_layers": "most", "norm": "instance"}),
    ("spade", "one", "spade", {**SPADE, "kernel": 5, "hidden": 3, "spectral": False}),
    (
        "spade", "one", "spade",
        {**SPADE, "use_vae": True, "z_dim": 5, "crop_size": 64, "aspect_ratio": 2.0},
    ),
    ("ugatit", "all", "ugatit", {"ch": 2, "n_res": 6, "img_size": 32}),
    ("ugatit", "all", "ugatit", {"ch": 2, "n_res": 1, "light": True}),
]  # fmt: skip


def written(folder: Path, layout: str, architecture: str, options: dict[str, Any]) -> Path:
    """A generator, and its inverse where the program has one, in the program's files."""
    if layout == "one":
        return write(folder, {"G": made(architecture, **options)})
    pair = [made(architecture, **options) for _ in range(2)]
    if layout == "pair":
        return write(folder, dict(zip(("G_A", "G_B"), pair, strict=True)))
    names = ("genA2B", "genB2A")
    folder.mkdir(parents=True)
    states = {name: network.state_dict() for name, network in zip(names, pair, strict=True)}
    torch.save(states, folder / "cells_params_latest.pt")
    return folder


@pytest.mark.parametrize(("family", "layout", "architecture", "options"), VARIANTS)
def test_options_are_read_from_the_tensors(
    family: str, layout: str, architecture: str, options: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path = written(tmp_path / "run", layout, architecture, options)
    torch.manual_seed(0)
    network = made(architecture, **options)
    found, model = convert(path)
    assert (found.family, found.parts["forward"].architecture) == (family, architecture)
    assert {key: found.options[key] for key in options} == options
    assert ("backward" in found.parts) == (layout != "one")
    side = {"unet_generator": 128, "spade": 256}.get(architecture, 32)
    image = torch.rand(1, len(model.card.inputs), side, side)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(image), network(image), rtol=0, atol=0)


JUDGES = [
    ("patch", {"in_channels": 3, "ndf": 2, "n_layers": 2}),
    ("patch", {"in_channels": 3, "ndf": 2, "n_layers": 5, "norm": "batch"}),
    ("patch", {"in_channels": 3, "ndf": 2, "n_layers": 1, "norm": "none"}),
    ("pixel", {"in_channels": 3, "ndf": 2, "norm": "batch"}),
    ("pixel", {"in_channels": 3, "ndf": 2}),
    ("multiscale", {"in_channels": 3, "ndf": 2, "num_D": 3}),
    ("multiscale", {"in_channels": 3, "ndf": 2, "n_layers": 2, "num_D": 2, "features": False}),
    ("spade", {"in_channels": 3, "ndf": 2, "num_D": 3}),
    ("spade", {"in_channels": 3, "ndf": 2, "n_layers": 3, "num_D": 1, "norm": "batch"}),
    ("spade", {"in_channels": 3, "ndf": 2, "norm": "none", "spectral": False}),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "options"), JUDGES)
def test_discriminators_of_every_kind_are_kept(
    architecture: str, options: dict[str, Any], tmp_path: Path
) -> None:
    pair = {role: made("resnet_generator", **RESNET) for role in ("G_A", "G_B")}
    judge = made(architecture, "discriminators", **options)
    found, model = convert(write(tmp_path, {**pair, "D_A": judge}))
    part = found.parts["discriminator"]
    assert part.architecture == architecture
    assert {key: part.options[key] for key in options} == options
    assert "discriminator_backward" not in found.parts
    for key, value in judge.state_dict().items():
        assert torch.equal(model.part("discriminator").state_dict()[key], value), key


@pytest.mark.parametrize(
    "wrap",
    [
        wrapped,
        lambda state: {"state_dict": wrapped(state), "epoch": 3},
        lambda state: {"model": state},
        lambda state: {"netG": state, "optimizer": {"state": {}}},
        lambda state: {f"netG.{key}": value for key, value in state.items()},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
        lambda state: {key: value.double() for key, value in state.items()},
    ],
)
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_wrappings_and_old_statistics_change_nothing(wrap: Any, norm: str, tmp_path: Path) -> None:
    network = made("resnet_generator", **RESNET, norm=norm)
    torch.save(wrap(with_old_statistics(network)), tmp_path / "cells.pth")
    found, model = convert(tmp_path / "cells.pth", family="cyclegan")
    assert (found.options["norm"], found.name) == (norm, "cells")
    image = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(image), network(image), rtol=0, atol=0)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = made("resnet_generator", **RESNET).state_dict()
    torch.save({key: value.bfloat16() for key, value in state.items()}, tmp_path / "G.pth")
    _, model = convert(tmp_path / "G.pth")
    for key, value in model.network.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, state[key].bfloat16().float(), rtol=0, atol=0)


def test_both_layouts_of_spectral_norm_are_one(tmp_path: Path) -> None:
    states: dict[str, Any] = torch.load(
        DATA / "ugatit_tiny_full_params_0000000.pt", weights_only=True
    )
    _, expected = convert(DATA / "ugatit_tiny_full_params_0000000.pt")
    judge = expected.part("discriminator")
    states["disGB"] = wrapped(with_new_spectral_norm(judge))
    old = expected.part("discriminator_local").state_dict()
    states["disLB"] = {key: value for key, value in old.items() if not key.endswith("_v")}
    torch.save(states, tmp_path / "cells_params_0000100.pt")
    found, model = convert(tmp_path)
    assert found.name == "cells"
    image = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        result = model.part("discriminator")(image)
        torch.testing.assert_close(result, judge(image), rtol=0, atol=0)
        # The vector that is left out follows from the other one up to a power iteration.
        result = model.part("discriminator_local")(image)
    assert bool(result.isfinite().all())


def test_the_file_that_is_chosen_says_the_direction() -> None:
    folder = DATA / "cyclegan_tiny_resnet9"
    _, there = convert(folder / "latest_net_G_A.pth")
    for back in (
        convert(folder / "latest_net_G_B.pth")[1],
        convert(folder, direction="BtoA")[1],
    ):
        pairs = [
            (there.network, back.part("backward")),
            (there.part("backward"), back.network),
            (there.part("discriminator"), back.part("discriminator_backward")),
        ]
        for one, other in pairs:
            for key, value in one.state_dict().items():
                assert torch.equal(value, other.state_dict()[key])


def test_version_1_of_attentiongan_has_names_of_its_own(tmp_path: Path) -> None:
    for role in ("A2B", "B2A"):
        network = made("attention_generator", **RESNET, version="v1")
        torch.save(network.state_dict(), tmp_path / f"netG_{role}.pth")
    torch.save({"conv_tower.0.weight": torch.zeros(4, 3, 4, 4)}, tmp_path / "netD_A.pth")
    found = inspect(tmp_path)
    assert found.options["version"] == "v1"
    assert set(found.parts) == {"forward", "backward"}
    assert found.files["forward"].endswith("netG_A2B.pth")
    assert found.notes == ("The file of D_A holds another kind of network; it was left out.",)


def test_the_latest_epoch_of_a_folder_is_taken(tmp_path: Path) -> None:
    for epoch, blocks in (("9", 1), ("10", 2)):
        write(tmp_path, {"G": made("resnet_generator", ngf=2, n_blocks=blocks)}, epoch)
    assert inspect(tmp_path).options["n_blocks"] == 2
    assert inspect(tmp_path, epoch="9").options["n_blocks"] == 1
    with pytest.raises(ModelError, match="there are 10, 9"):
        inspect(tmp_path, epoch="7")
    write(tmp_path, {"G": made("resnet_generator", ngf=2, n_blocks=3)})
    assert inspect(tmp_path).options["n_blocks"] == 3
    write(tmp_path, {"G_A": made("resnet_generator", ngf=2, n_blocks=3)})
    with pytest.raises(ModelError, match="2 checkpoints"):
        inspect(tmp_path)


def test_inputs_of_label_maps_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"G": made("pix2pixhd", **HD, in_channels=9)})
    found = inspect(tmp_path)
    assert found.task == "synthesize"
    assert [found.questions[name].value for name in ("label_nc", "no_instance")] == [8, False]
    assert [channel.source for channel in found.inputs] == ["class"] * 8 + ["edge"]
    assert found.inputs[-1].name == "instance edges"
    assert found.normalisation.kind == "none"
    found = inspect(tmp_path, label_nc=9)
    assert [channel.name for channel in found.inputs] == [f"class {n}" for n in range(9)]
    found = inspect(tmp_path, label_nc=5, instance_feat=True)
    assert [channel.name for channel in found.inputs][5:] == [
        "instance edges", "feature 0", "feature 1", "feature 2",
    ]  # fmt: skip
    with pytest.raises(ModelError, match="takes 9 channels, but the options given make 4"):
        inspect(tmp_path, label_nc=4)


def test_classes_of_spade_are_asked_for() -> None:
    folder = DATA / "spade_tiny_normal"
    found = inspect(folder, label_nc=5)
    assert [channel.name for channel in found.inputs][4:] == [
        "class 4", "don't care", "instance edges",
    ]  # fmt: skip
    assert [channel.source for channel in found.inputs] == ["class"] * 6 + ["edge"]
    names = ("label_nc", "contain_dontcare_label", "no_instance")
    assert [found.questions[name].value for name in names] == [5, True, False]
    assert len(inspect(folder, label_nc=7).inputs) == 7
    for given, count in (
        ({"no_instance": True}, 7), ({"contain_dontcare_label": True}, 6), ({}, 6),
        ({"label_nc": 6, "contain_dontcare_label": True}, 7),
    ):  # fmt: skip
        sources = [channel.source for channel in inspect(folder, **given).inputs]
        assert sources.count("class") == count
    with pytest.raises(ModelError, match=r"7 channels.*label_nc = 4"):
        inspect(folder, label_nc=4)


def test_doublings_and_sizes_of_spade_are_asked_for(tmp_path: Path) -> None:
    made_as = {**SPADE, "num_upsampling_layers": "more", "use_vae": True, "crop_size": 128}
    networks = {
        "G": made("spade", **made_as, z_dim=5),
        "E": made("spade_style", "encoders", z_dim=5, ngf=2, n_layers=5),
    }
    write(tmp_path, networks)
    found, model = convert(tmp_path, num_upsampling_layers="more")
    assert (found.options["crop_size"], model.card.stride) == (128, None)
    assert found.questions["num_upsampling_layers"].choices == ("normal", "more")
    assert found.parts["encoder"].options["n_layers"] == 5
    assert inspect(tmp_path).options["crop_size"] == 64
    inspect(
        DATA / "spade_tiny_normal", norm_G="spectralspadesyncbatch3x3", norm_D="spectralinstance"
    )
    with pytest.raises(ModelError, match="norm = 'instance' was given"):
        inspect(DATA / "spade_tiny_normal", norm_G="spectralspadeinstance3x3")


def test_features_come_with_their_encoder(tmp_path: Path) -> None:
    networks = {
        "G": made("pix2pixhd", **HD, in_channels=9),
        "E": made("pix2pixhd_features", "encoders", nef=2, n_downsample_E=2, out_channels=2),
        "D": made("multiscale", "discriminators", in_channels=10, ndf=2),
    }
    found, model = convert(write(tmp_path, networks))
    assert found.parts["encoder"].options["out_channels"] == 2
    assert [channel.name for channel in found.inputs][5:] == [
        "class 5", "instance edges", "feature 0", "feature 1",
    ]  # fmt: skip
    assert [channel.source for channel in found.inputs][5:] == [
        "class", "edge", "feature", "feature",
    ]  # fmt: skip
    assert set(model.card.parts) == {"encoder", "discriminator"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "batch"}, "norm = 'batch' was given, .* say norm = 'instance'"),
        ({"netG": "resnet_6blocks"}, "n_blocks = 6 was given, .* n_blocks = 9"),
        ({"netG": "unet_256"}, "'unet_256' was given, but .* resnet generator"),
        ({"n_layers_D": 4}, "n_layers = 4 was given, .* n_layers = 3"),
        ({"netG": "resnet"}, "Unknown netG 'resnet'"),
        ({"colour": 1}, "Unknown options colour"),
        ({"family": "stylegan"}, "Unknown family 'stylegan'"),
        ({"family": "ugatit"}, "not recognised as ugatit"),
    ],
)
def test_options_that_contradict_the_tensors_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        inspect(DATA / "cyclegan_tiny_resnet9", **options)


@pytest.mark.parametrize("key", ["model.1.weight", "model.12.conv_block.5.weight", "model.16.bias"])
def test_a_wrong_shape_is_named(key: str, tmp_path: Path) -> None:
    state = made("resnet_generator", ngf=4, n_blocks=6).state_dict()
    shape = tuple(state[key].shape)
    wrong = (shape[0] + 1, *shape[1:])
    torch.save({**state, key: torch.zeros(wrong)}, tmp_path / "latest_net_G.pth")
    with pytest.raises(ModelError) as caught:
        inspect(tmp_path)
    assert f"{key}: file {wrong}, network {shape}" in str(caught.value)
    assert "1 tensors differ" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "looks"),
    [
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "a torchvision ResNet"),
        (["down_blocks.0.resnets.0.conv1.weight"], "a U-Net of diffusers"),
        (["head_0.norm_0.param_free_norm.running_mean"], "a SPADE generator"),
        (["model.0.weight", "model.2.weight", "model.5.weight"], "a discriminator; choose"),
    ],
)
def test_an_alien_checkpoint_is_described(keys: list[str], looks: str, tmp_path: Path) -> None:
    torch.save({key: torch.zeros(4, 4, 4, 4) for key in keys}, tmp_path / "net.pth")
    with pytest.raises(ModelError) as caught:
        inspect(tmp_path / "net.pth")
    message = str(caught.value)
    for piece in (f"{len(keys)} tensors", keys[0], "(4, 4, 4, 4)", looks, "U-GAT-IT, CycleGAN"):
        assert piece in message


@pytest.mark.parametrize(
    ("content", "message"),
    [([1, 2], "holds a list"), ({"epoch": 3}, "of 'epoch', expected a state dict")],
)
def test_files_of_something_else_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=message):
        inspect(tmp_path / "net.pth")
    with pytest.raises(ModelError, match="There is no checkpoint"):
        inspect(tmp_path / "other.pth")
    with pytest.raises(ModelError, match="no checkpoints"):
        inspect(write(tmp_path / "empty", {}))


@pytest.mark.parametrize("name", ["pix2pixhd_tiny_global", "pix2pix_tiny_unet256"])
def test_what_was_found_survives_json(name: str) -> None:
    import json

    found = inspect(DATA / name)
    assert Found.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_families_are_files_and_networks_that_look_alike_are_asked_for(tmp_path: Path) -> None:
    from napari_tincture.by_name import own_modules

    trained = own_modules("napari_tincture.training.objectives", frozenset())
    assert set(families()) <= trained | {"semantic_diffusion", "sr3", "ddim"}
    write(tmp_path, {"G": made("resnet_generator", **RESNET, in_channels=4)})
    question = inspect(tmp_path).questions["family"]
    assert set(question.choices) == {"bayesian_cyclegan", "cyclegan", "pix2pix", "pix2pixhd"}
    assert inspect(tmp_path, family="bayesian_cyclegan").inputs[-1].source == "noise"
    assert inspect(tmp_path, family="cyclegan").parts["forward"] == Part(
        "resnet_generator",
        {
            "in_channels": 4, "out_channels": 3, "ngf": 2, "n_blocks": 1, "norm": "instance",
            "dropout": False, "padding": "reflect",
        },
    )  # fmt: skip
