"""Model packages: the numbers of others, and ours for them."""

from __future__ import annotations

import copy
import io
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
from packages import SOURCE, convolved, described, files, lay, npy, sha, sigmoid

import napari_tincture as nt
from napari_tincture.models import Channel, Model, ModelCard, Normalisation, consent
from napari_tincture.models.registry import build_network
from napari_tincture.models.shipped import VARIABLE
from napari_tincture.tiling.reach import with_reach

ONNX = Path(__file__).parents[1] / "data" / "conv_sigmoid.onnx"


@pytest.fixture(autouse=True)
def _nothing_agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "library"))
    monkeypatch.setattr(consent, "_GIVEN", {})


def agreed(path: Path, **options: Any) -> nt.Model:
    programs = nt.inspect_package(path).programs
    return nt.import_package(path, consent={p.sha256: True for p in programs}, **options)


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


def unet(normalisation: Normalisation, **options: Any) -> Model:
    torch.manual_seed(0)
    options = {"in_channels": 2, "out_channels": 3, "depth": 1, "width": 4, **options}
    card = ModelCard(
        "a small unet",
        "segment",
        "unet",
        (Channel("dapi"), Channel("phase")),
        tuple(map(Channel, "abc")),
        options,
        normalisation,
        pixel_size=0.5,
        licence="CC BY 4.0",
        citation="Ronneberger et al., doi 10.1007/978-3-319-24574-4_28",
    )
    return with_reach(Model(build_network("unet", options), card))


def exported(model: Model, path: Path) -> Path:
    image = nt.open_image(picture(2, 50, 62), axes="cyx")
    return nt.export_package(model, path, test_image=image, authors=["A. Maker"])


@pytest.mark.parametrize(
    ("normalisation", "options"),
    [
        (Normalisation("percentile", 1.0, 99.0, (-1.0, 1.0), (-1.5, 1.5)), {"padded": True}),
        (Normalisation("standard"), {"padded": True, "norm": "instance"}),
        (Normalisation("dtype"), {"padded": False}),
    ],
    ids=["percentile", "whole", "unpadded"],
)
def test_what_is_exported_gives_the_same_numbers_again(
    normalisation: Normalisation, options: dict[str, Any], tmp_path: Path
) -> None:
    model = unet(normalisation, **options)
    path = exported(model, tmp_path / "p.zip")
    image = picture(2, 70, 90)
    expected = model.predict(torch.from_numpy(image)[None]).numpy()
    again = nt.import_package(path)
    assert again.card == model.card
    assert again.fingerprint == model.fingerprint
    program = agreed(path, weights="torchscript")
    assert program.card.pixel_size == 0.5
    found = program.predict(torch.from_numpy(image)[None]).numpy()
    # A program cannot be suspended to find values of the whole image.
    assert program.card.exact == (options.get("norm") != "instance")
    # The same operators in the same order; scaling in one step or two rounds differently.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * expected.std())


def test_of_a_slide_no_more_is_read_than_becomes_the_test(tmp_path: Path) -> None:
    def block(block_info: Any = None) -> np.ndarray:
        places = block_info[None]["array-location"][1:]
        assert all(start >= 384 and stop <= 640 for start, stop in places), places
        return picture(2, 128, 128)

    slide = da.map_blocks(block, chunks=((2,), (128,) * 8, (128,) * 8), dtype=np.uint16)
    steps: list[tuple[int, int]] = []
    path = nt.export_package(
        unet(Normalisation(), padded=True), tmp_path / "p", progress=lambda *at: steps.append(at),
        test_image=nt.open_image(slide, axes="cyx"), authors=["A. Maker"],
    )  # fmt: skip
    assert np.load(path / "test_input.npy").shape == (1, 2, 256, 256)
    assert steps == [(done, 3) for done in range(4)]


def test_torchscript_is_tiled_exactly(tmp_path: Path) -> None:
    model = unet(Normalisation("percentile", 1, 99), padded=True)
    program = agreed(exported(model, tmp_path / "p"), weights="torchscript")
    assert program.card.exact
    assert program.card.halo == model.card.halo
    image = nt.open_image(picture(2, 70, 90), axes="cyx")
    tiled = np.asarray(nt.segment(image, program, output="probabilities", tile=16))
    whole = program.predict(torch.from_numpy(picture(2, 70, 90))[None])[0].numpy()
    # Only the order of sums within a convolution differs.
    np.testing.assert_allclose(tiled.squeeze(), whole, rtol=0, atol=1e-5 * whole.std())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_other_programs_agree(tmp_path: Path) -> None:
    from bioimageio import core, spec
    from bioimageio.core.digest_spec import get_test_input_sample, get_test_output_sample

    model = unet(Normalisation("percentile", 1, 99, (-1, 1), (-1.5, 1.5)), padded=True)
    found = spec.load_description(exported(model, tmp_path / "p.zip"))
    assert found.validation_summary.status == "valid-format", found.validation_summary
    assert found.license == "CC-BY-4.0"
    assert found.cite[0].doi == "10.1007/978-3-319-24574-4_28"
    assert found.outputs[0].axes[-1].halo == model.card.halo
    expected = get_test_output_sample(found).members["output"].data.data
    for kind in ("pytorch_state_dict", "torchscript"):
        with core.create_prediction_pipeline(found, weight_format=kind) as pipeline:
            result = pipeline.predict_sample_without_blocking(
                get_test_input_sample(found), skip_input_padding=True, skip_output_cropping=True
            )
        # Percentiles are computed in another precision there.
        np.testing.assert_allclose(result.members["output"].data.data, expected, atol=1e-4)


def test_code_is_run_only_after_consent_and_tiled_exactly(tmp_path: Path) -> None:
    path = lay(tmp_path / "p", files(described()))
    with pytest.raises(nt.ConsentError, match=r"net\.py \(Python code\), SHA-256"):
        nt.import_package(path)
    assert not [name for name in sys.modules if name.startswith("napari_tincture_package")]
    package = nt.inspect_package(path)
    assert [program.file for program in package.programs] == ["net.py"]
    model = agreed(path, save_to="library")
    assert (model.card.task, model.card.exact, model.card.halo) == ("segment", True, 1)
    assert [channel.name for channel in model.card.outputs] == ["cell", "border"]
    image = np.random.default_rng(1).normal(size=(1, 1, 40, 50)).astype(np.float32)
    expected = sigmoid(convolved(image))
    maps = nt.segment(nt.open_image(image[0], axes="cyx"), model, output="probabilities", tile=16)
    np.testing.assert_allclose(np.asarray(maps).squeeze(), expected[0], rtol=0, atol=1e-6)


def test_a_model_of_the_library_keeps_its_consent_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lay(tmp_path / "p", files(described()))
    saved = agreed(path, save_to="library").path
    assert saved is not None
    monkeypatch.setattr(consent, "_GIVEN", {})
    image = torch.zeros(1, 1, 8, 8)
    assert nt.load_model(saved).predict(image).shape == (1, 2, 8, 8)
    consent.consents_file().unlink()
    with pytest.raises(nt.ConsentError, match=r"net\.py"):
        nt.load_model(saved).predict(image)


def test_onnx_is_run_and_blended(tmp_path: Path) -> None:
    weights = {"onnx": {"source": "w.onnx", "opset_version": 17}}
    changed = described(weights=weights)
    del changed["outputs"][0]["postprocessing"]  # the graph ends in a sigmoid
    path = lay(tmp_path / "p", {**files(changed), "w.onnx": ONNX.read_bytes()})
    model = nt.import_package(path)
    assert not model.card.exact
    image = np.random.default_rng(1).normal(size=(1, 1, 40, 50)).astype(np.float32)
    maps = nt.segment(nt.open_image(image[0], axes="cyx"), model, output="probabilities", tile=16)
    # Its halo is enough, and what lies within counts for nothing.
    expected = sigmoid(convolved(image))[0]
    np.testing.assert_allclose(np.asarray(maps).squeeze(), expected, rtol=0, atol=1e-6)
    again = nt.load_model(model.save(tmp_path / "m.safetensors"))
    assert torch.equal(*(m.predict(torch.from_numpy(image)) for m in (model, again)))


def test_onnx_of_other_files_and_without_its_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = ONNX.read_bytes() + b"\x0a\x08location\x12\x04/etc"
    weights = {"onnx": {"source": "w.onnx", "opset_version": 17}}
    path = lay(tmp_path / "p", {**files(described(weights=weights)), "w.onnx": graph})
    with pytest.raises(nt.ModelError, match="weights from other files"):
        nt.import_package(path)
    monkeypatch.setattr("napari_tincture.models.packages._choose.find_spec", lambda _: None)
    with pytest.raises(nt.ModelError, match=r"pip install .*\[onnx\]"):
        nt.import_package(path)


def old(**changes: Any) -> dict[str, Any]:
    """The same package in format 0.4."""
    return {
        "type": "model",
        "format_version": "0.4.9",
        "name": "two edges",
        "test_inputs": ["in.npy"],
        "test_outputs": ["out.npy"],
        "inputs": [
            {
                "name": "raw", "axes": "bcyx", "data_type": "float32",
                "shape": {"min": [1, 1, 8, 8], "step": [0, 0, 4, 4]},
                "preprocessing": [
                    {"name": "zero_mean_unit_variance",
                     "kwargs": {"mode": "per_sample", "axes": "xy"}},
                ],
            }
        ],
        "outputs": [
            {
                "name": "maps", "axes": "bcyx", "data_type": "float32", "halo": [0, 0, 4, 4],
                "shape": {"reference_tensor": "raw", "scale": [1, 0, 1, 1],
                          "offset": [0, 1, 0, 0]},
                "postprocessing": [{"name": "sigmoid"}],
            }
        ],
        "weights": {
            "pytorch_state_dict": {
                "source": "w.pt", "architecture": "net.py:make", "kwargs": {"width": 2},
                "architecture_sha256": sha(SOURCE.encode()),
            }
        },
        **changes,
    }  # fmt: skip


def test_format_0_4_is_read(tmp_path: Path) -> None:
    image = np.load(io.BytesIO(files(described())["in.npy"]))
    standard = (image - image.mean()) / image.std()
    content = {**files(old()), "out.npy": npy(sigmoid(convolved(standard)))}
    model = agreed(lay(tmp_path / "p", content))
    assert model.card.normalisation == Normalisation("standard")
    found = model.predict(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(found, sigmoid(convolved(standard)), rtol=0, atol=1e-6)


def test_axes_in_another_order_and_without_a_batch_are_turned(tmp_path: Path) -> None:
    changed = described()
    _, channel, y, x = changed["inputs"][0]["axes"]
    changed["inputs"][0]["axes"] = [channel, {"type": "space", "id": "z", "size": 1}, x, y]
    source = """
from torch import nn

class make(nn.Conv2d):
    def __init__(self, width):
        super().__init__(1, width, 3, padding=1)

    def forward(self, x):
        assert x.ndim == 4 and x.shape[:2] == (1, 1)
        return super().forward(x[:, 0].transpose(1, 2)[None])
"""
    content = {**files(changed), "net.py": source.encode()}
    content["in.npy"] = npy(np.load(io.BytesIO(content["in.npy"])).transpose(0, 1, 3, 2))
    model = agreed(lay(tmp_path / "p", content))
    image = torch.randn(2, 1, 12, 20)
    expected = sigmoid(convolved(image.numpy()))
    np.testing.assert_allclose(model.predict(image).numpy(), expected, rtol=0, atol=1e-6)


def test_a_package_that_does_not_give_its_own_result_is_reported(tmp_path: Path) -> None:
    content = files(described())
    content["out.npy"] = npy(np.zeros((1, 2, 20, 24), np.float32))
    path = lay(tmp_path / "p", content)
    with pytest.raises(nt.ModelError, match="does not give its own test's result"):
        agreed(path)
    with pytest.warns(UserWarning, match="does not give its own test's result"):
        agreed(path, on_mismatch="warn")
    changed = described()
    del changed["outputs"][0]["test_tensor"]
    with pytest.warns(UserWarning, match="holds no test"):
        agreed(lay(tmp_path / "q", files(changed)))


def twice(**changes: Any) -> dict[str, Any]:
    first = described()
    return {**first, **{key: first[key] * 2 for key in changes}}


def with_axis(**axis: Any) -> dict[str, Any]:
    changed = copy.deepcopy(described())
    for tensor in (changed["inputs"][0], changed["outputs"][0]):
        tensor["axes"].insert(2, axis)
    return changed


def scaled() -> dict[str, Any]:
    changed = described()
    for axis in changed["outputs"][0]["axes"][2:]:
        axis["scale"] = 2.0
    return changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (twice(inputs=2), "takes 2 tensors"),
        (twice(outputs=2), r"choose output= of \['maps', 'maps'\]"),
        (with_axis(type="space", id="z", size=4), "not of length 1"),
        (with_axis(type="time", size=1), "not of length 1"),
        (scaled(), "0.5 samples per pixel"),
        (described(weights={"keras_hdf5": {"source": "w.h5"}}), "keras_hdf5 is not supported"),
        (
            described(
                weights={
                    "pytorch_state_dict": {
                        "source": "w.pt",
                        "architecture": {"import_from": "os", "callable": "system"},
                    }
                }
            ),
            r"os\.system, which is no architecture here",
        ),
    ],
)
def test_what_cannot_be_mapped_is_named(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(nt.ModelError, match=message):
        agreed(lay(tmp_path / "p", files(changed)))


def test_weights_that_do_not_fit_or_could_run_code_are_refused(tmp_path: Path) -> None:
    entry = described()["weights"]["pytorch_state_dict"]
    for content, message in (
        (pickle.dumps(print, 2), "contains code"),
        (b"", "damaged"),
    ):
        changed = described(weights={"pytorch_state_dict": {**entry, "sha256": sha(content)}})
        path = lay(tmp_path / "p", {**files(changed), "w.pt": content})
        with pytest.raises(nt.ModelError, match=message):
            agreed(path)
    changed = described()
    changed["weights"]["pytorch_state_dict"]["architecture"]["kwargs"] = {"width": 3}
    with pytest.raises(nt.ModelError, match="do not fit the architecture"):
        agreed(lay(tmp_path / "q", files(changed)))


def test_published_networks_are_recognised_without_running_their_code(tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"in_channels": 1, "out_channels": 2, "n_blocks": 6, "ngf": 4}
    network = build_network("resnet_generator", options)
    state = io.BytesIO()
    torch.save(network.state_dict(), state)
    changed = described()
    changed["weights"]["pytorch_state_dict"]["sha256"] = sha(state.getvalue())
    content = {**files(changed), "w.pt": state.getvalue()}
    with torch.inference_mode():
        image = torch.randn(1, 1, 32, 32)
        content["in.npy"] = npy(image.numpy())
        content["out.npy"] = npy(network.eval()(image).sigmoid().numpy())
    model = nt.import_package(lay(tmp_path / "p", content))
    assert model.card.options["network"]["architecture"] == "resnet_generator"


def test_what_a_package_cannot_hold_is_not_written(tmp_path: Path) -> None:
    model = unet(Normalisation(), padded=True)
    exported(model, tmp_path / "p.zip")
    with pytest.raises(nt.OutputError, match="exists"):
        exported(model, tmp_path / "p.zip")
    package = agreed(lay(tmp_path / "q", files(described())))
    image = np.zeros((1, 30, 30), np.uint8)
    with pytest.raises(nt.ModelError, match="comes from a package"):
        nt.export_package(package, tmp_path / "r", test_image=nt.open_image(image, axes="cyx"))
    noisy = model.card.replace(inputs=(Channel("a"), Channel("z", source="noise")))
    with pytest.raises(nt.ModelError, match="draws noise"):
        nt.export_package(
            model.with_card(noisy), tmp_path / "r", test_image=nt.open_image(image, axes="cyx")
        )
    assert not (tmp_path / "r").exists()
    with warnings.catch_warnings(), pytest.raises(nt.InputError, match="a name without a slash"):
        nt.export_package(
            model, tmp_path / "r", authors=["a/b"],
            test_image=nt.open_image(picture(2, 30, 30), axes="cyx"),
        )  # fmt: skip
