"""What the worker does to train, called in this process: what is told, kept, and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.io import imsave

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError, TrainingError
from napari_tincture.raster import Raster
from napari_tincture.training.begun import list_begun, read_begun
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pictures import Picture
from napari_tincture.worker.steering import Steering
from napari_tincture.worker.train_settings import Side, TrainSettings
from napari_tincture.worker.training import described, train_for_panel

STEPS = 12
CHANGES = {"steps": STEPS, "crop": 32, "save_every": 4, "validate_every": 6}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_TINCTURE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def image(name: str, *, seed: int = 0, shape: tuple[int, ...] = (130, 140)) -> Raster:
    values = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    return Raster.from_array(values, "cyx"[-len(shape) :], name=name, rgb=len(shape) == 3)


def settings(**values: Any) -> TrainSettings:
    """A regression, which takes milliseconds a step."""
    sides = {"pair_a": Side(images=(0,)), "pair_b": Side(images=(1,))}
    usual = {"name": "my stain", "family": "regression", "size": "tiny", "changes": CHANGES}
    return TrainSettings(**{"sides": sides, **usual, **values})


class Heard:
    """Remembers what was told, and does something when told."""

    def __init__(self, then: Callable[[str, dict[str, Any]], None] = lambda *_: None) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.images: list[np.ndarray] = []
        self._then = then

    def __call__(self, kind: str, payload: np.ndarray | None = None, **fields: Any) -> None:
        self.told.append((kind, fields))
        if payload is not None:
            self.images.append(payload)
        self._then(kind, fields)

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.told if name == kind]


def train(
    wanted: TrainSettings,
    heard: Heard,
    steering: Steering | None = None,
    sources: list[Raster] | None = None,
) -> dict[str, Any]:
    sources = sources or [image("a"), image("b", seed=1)]
    steering = steering or Steering()
    return train_for_panel(wanted, sources, steering, heard, lambda view: sources[view["source"]])


def weights() -> dict[str, torch.Tensor]:
    return dict(nt.load_model("my-stain").network.state_dict())


def test_a_training_tells_of_itself_and_leaves_a_model(library: Path) -> None:
    heard = Heard()
    facts = train(settings(), heard)
    (began,) = heard.all("began")
    assert (began["name"], began["step"], began["steps"]) == ("my-stain", 0, STEPS)
    assert heard.told[-1][0] == "finishing"
    steps = heard.all("step")
    assert steps[-1]["step"] == STEPS
    assert steps[-1]["seconds"] == 0.0
    assert set(steps[-1]["losses"]) == {"loss"}
    assert [s["step"] for s in steps if "ssim" in s["figures"]] == [6, 12]
    assert facts["path"] == str(library / "my-stain.safetensors")
    assert [card.name for card in nt.list_models()][-1] == "my-stain"
    (begun,) = list_begun()
    assert (begun.name, begun.step, begun.steps) == ("my-stain", STEPS, STEPS)
    # The next of that name is another training, with files of its own.
    train(settings(), again := Heard())
    assert again.all("began")[0]["name"] == "my-stain-2"


def test_images_alone_are_learned_from_and_previewed() -> None:
    heard = Heard()
    changes = {**CHANGES, "steps": 2}
    facts = train(
        settings(sides={"a": Side(images=(0,))}, family="autoencoder", changes=changes), heard
    )
    assert {"validation mse", "validation ssim"} <= facts["figures"].keys()
    assert nt.load_model("my-stain").card.task == "stain"
    with pytest.raises(InputError, match="Images of one domain are missing"):
        settings(sides={"b": Side(images=(0,))})


def test_interrupted_and_resumed_is_uninterrupted(library: Path) -> None:
    train(settings(), Heard())
    expected = weights()
    for path in library.rglob("my-stain*"):
        path.unlink()
    steering = Steering()
    interrupt = Heard(lambda kind, said: steering.cancel() if kind == "step" else None)
    with pytest.raises(Cancelled, match="resume it"):
        train(settings(), interrupt, steering)
    begun = read_begun("my-stain")
    assert begun is not None
    assert 0 < begun.step < STEPS
    assert not list(library.glob("*.safetensors"))
    heard = Heard()
    train(settings(name="my-stain", base=begun.recipe, resume=True, changes={}), heard)
    (began,) = heard.all("began")
    assert began["step"] == begun.step
    assert [step for step, _ in began["curves"]["loss"]] == list(range(1, begun.step + 1))
    for name, value in weights().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_paused_it_says_so_and_stopped_it_keeps_the_model() -> None:
    steering = Steering()

    def steer(kind: str, said: dict[str, Any]) -> None:
        if kind == "step":
            steering.pause()
        elif kind == "paused" and said["held"]:
            steering.stop()

    facts = train(settings(), heard := Heard(steer), steering)
    assert [said["held"] for said in heard.all("paused")] == [True, False]
    assert 0 < facts["steps"] < STEPS
    assert heard.all("step")[-1]["step"] == facts["steps"], "a pause tells all there is"
    assert Path(facts["path"]).is_file()


@pytest.mark.parametrize("shape", [(130, 140), (3, 130, 140)])
def test_previews_are_what_the_model_makes_of_the_view(shape: tuple[int, ...]) -> None:
    sources = [image("a"), image("b", seed=1, shape=shape)]
    steering = Steering()
    region = {"y": [0, 96], "x": [40, 140]}
    steering.view = {"number": 7, "source": 0, "region": region}
    train(settings(preview_every=STEPS), heard := Heard(), steering, sources)
    assert [said["step"] for said in heard.all("preview")] == [1, STEPS]
    last = heard.all("preview")[-1]
    assert last["view"] == 7
    assert last["rgb"] == (len(shape) == 3)
    picture: Picture = Domain.from_json({"images": [sources[0]]}).pictures[0]
    # 96 and 100 pixels, widened to multiples of the crop.
    window = picture.read(slice(0, 96), slice(26, 154))
    with torch.inference_mode():
        made = nt.load_model("my-stain").network(window[None])[0, :, :, 14:114].numpy()
    assert heard.images[-1].shape == (shape[0] if len(shape) == 3 else 1, 96, 100)
    if len(shape) == 3:
        assert heard.images[-1].dtype == np.uint8
        made = ((made + 1) * 127.5).clip(0, 255)
    # Half a grey value, or the rounding of another order of sums.
    np.testing.assert_allclose(heard.images[-1], made, atol=0.51 if len(shape) == 3 else 5e-5)


def test_a_preview_that_fails_ends_no_training() -> None:
    sources = [image("a"), image("b", seed=1), image("other", shape=(3, 64, 64))]
    steering = Steering()
    steering.view = {"number": 1, "source": 2, "region": {"y": [0, 64], "x": [0, 64]}}
    facts = train(settings(preview_every=1), heard := Heard(), steering, sources)
    (warning,) = heard.all("warning")
    assert warning["message"].startswith("There is no preview: ")
    assert facts["steps"] == STEPS


def test_losses_that_are_no_numbers_leave_the_last_checkpoint() -> None:
    changes = {**CHANGES, "lr": 1e30, "clip": 0.0, "warmup": 0, "save_every": 1}
    with pytest.raises(TrainingError, match="lower learning rate"):
        train(settings(changes=changes), Heard())
    (begun,) = list_begun()
    assert begun.step >= 1


def test_a_training_that_is_under_way_is_not_begun_again() -> None:
    train(settings(), Heard())
    begun = read_begun("my-stain")
    assert begun is not None
    further = settings(name="my-stain", base=begun.recipe, resume=True, changes={"steps": 13})
    with begun.held(), pytest.raises(InputError, match="in another window"):
        train(further, Heard())
    assert train(further, Heard())["steps"] == 13


def folder(tmp_path: Path, name: str, sizes: dict[str, tuple[int, int]]) -> str:
    (tmp_path / name).mkdir()
    for file, size in sizes.items():
        imsave(tmp_path / name / file, np.zeros(size, np.uint8), check_contrast=False)
    return str(tmp_path / name)


def test_folders_go_into_the_recipe_and_train(tmp_path: Path) -> None:
    sizes = {f"{name}.png": (64, 64) for name in "xyz"}
    paths = [folder(tmp_path, name, sizes) for name in "ab"]
    sides = {f"pair_{name}": Side(images=(path,)) for name, path in zip("ab", paths, strict=True)}
    train(settings(sides=sides), heard := Heard())
    data = heard.all("began")[0]["recipe"]["data"]["pairs"]
    assert [data[name]["images"] for name in "ab"] == [[path] for path in paths]
    assert data["a"]["normalisation"]["kind"] == "dtype"


BAD: dict[str, tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]], str]] = {
    "unequal": ({"x.png": (64, 64)}, {"x.png": (64, 70)}, r"differ in size.*x \(64 × 64\)"),
    "alone": ({"x.png": (64, 64), "y.png": (64, 64)}, {"x.png": (64, 64)}, "y"),
    "small": ({"x.png": (64, 64)}, {"x.png": (64, 64)}, "too small to be split"),
    "unreadable": (
        {"x.png": (64, 64)},
        {"x.png": (0, 0)},
        r"1 of 1 images cannot be read: .*x.png",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_folders_are_named_and_leave_nothing(tmp_path: Path, name: str, library: Path) -> None:
    ours, theirs, problem = BAD[name]
    if name == "unreadable":
        path = folder(tmp_path, "b", {})
        (Path(path) / "x.png").write_bytes(b"no picture")
    else:
        path = folder(tmp_path, "b", theirs)
    sides = {
        "pair_a": Side(images=(folder(tmp_path, "a", ours),)), "pair_b": Side(images=(path,))
    }  # fmt: skip
    with pytest.raises(InputError, match=problem):
        train(settings(sides=sides), Heard())
    assert not list(library.rglob("*.json"))


def test_values_and_masks_of_layers() -> None:
    deep = Raster.from_array(np.zeros((50, 50), np.uint16), "yx", name="deep")
    labels = Raster.from_array(np.ones((50, 50), np.uint8), "yx", name="deep", kind="labels")
    found = described(Side(images=(0,), mask=1), [deep, labels])
    assert found["normalisation"]["kind"] == "percentile"
    (picture,) = Domain.from_json(found).pictures
    assert picture.mask is not None
    chosen = described(Side(images=(0,), values="dtype", channels=(0,)), [deep])
    assert (chosen["normalisation"]["kind"], chosen["channels"]) == ("dtype", [0])


def test_settings_survive_json_and_refuse_nonsense() -> None:
    import json

    wanted = settings(changes={"flips": (True, False)})
    assert TrainSettings.from_json(json.loads(json.dumps(wanted.to_json()))).sides == wanted.sides
    with pytest.raises(InputError, match="no name"):
        settings(name=" ")
    with pytest.raises(InputError, match="one domain"):
        settings(sides={"b": Side(images=(0,))})
    with pytest.raises(InputError, match="nothing to learn"):
        settings(sides={})
    with pytest.raises(InputError, match="values"):
        Side(images=(0,), values="loud")
