"""What a model tells of images that it knows nothing of: it must not look confident."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tincture import Raster, calibrate, stain
from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.models.card import Part
from napari_tincture.models.registry import build_network, room_of

OPTIONS = {"in_channels": 1, "out_channels": 1, "ngf": 4, "n_blocks": 1}
PARTS = {
    "backward": Part("resnet_generator", OPTIONS),
    "discriminator": Part("patch", {"in_channels": 1, "ndf": 8, "n_layers": 2, "norm": "none"}),
}
UNIT = Normalisation("range", 0, 1, (-1, 1))
STEPS = 200
TOLD = ("cycle_error", "realism", "std")


def spots(seed: int, side: int = 64) -> np.ndarray:
    """Soft spots on black, 0 to 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = np.zeros((side, side))
    for cy, cx in rng.uniform(0, side, (side * side // 200, 2)):
        image += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 8)
    return image.clip(0, 1).astype(np.float32)


def unstained(scene):
    """Bright spots, 0.2 to 0.8."""
    return 0.2 + 0.6 * scene


def stained(scene):
    """Dark spots with sharper edges."""
    return 0.8 - 0.6 * scene**2


@pytest.fixture(scope="module")
def model() -> Model:
    """Generators there and back that know spots in all orientations, and a judge of stains."""
    torch.manual_seed(0)
    draws = torch.Generator().manual_seed(0)
    there = build_network("resnet_generator", OPTIONS)
    made = {n: build_network(p.architecture, p.options, room_of(n)) for n, p in PARTS.items()}
    back, judge = made["backward"], made["discriminator"]
    scenes = torch.from_numpy(np.stack([spots(i) for i in range(20)]))[:, None]
    generators = torch.optim.Adam([*there.parameters(), *back.parameters()], 4e-3)
    judges = torch.optim.Adam(judge.parameters(), 2e-3)
    for step in range(STEPS):
        y, x = torch.randint(0, 32, (2,), generator=draws)
        chosen = scenes[torch.randint(20, (4,), generator=draws), :, y : y + 32, x : x + 32]
        turned = torch.rot90(chosen, step % 4, (2, 3))
        turned = turned.flip(-1) if step // 4 % 2 else turned
        a, b = (2 * domain(turned) - 1 for domain in (unstained, stained))
        generators.zero_grad()
        ((there(a) - b).abs().mean() + (back(b) - a).abs().mean()).backward()
        generators.step()
        level, noise = (
            2 * torch.rand(4, 1, *size, generator=draws) - 1 for size in ((1, 1), (32, 32))
        )
        unreal = torch.cat([level.expand(4, 1, 32, 32), noise, a])
        judges.zero_grad()
        ((judge(b) - 1).square().mean() + judge(unreal).square().mean()).backward()
        judges.step()
    card = ModelCard(
        name="spots", task="stain", architecture="resnet_generator", options=OPTIONS,
        inputs=(Channel("a"),), outputs=(Channel("b"),), normalisation=UNIT,
        target_normalisation=UNIT, output_range=(-1, 1), parts=PARTS,
    )  # fmt: skip
    return calibrate(Model(there, card, made), [Raster.from_array(stained(spots(99)), "yx")])


def told(model: Model, image: np.ndarray) -> dict[str, float]:
    found = stain(image.astype(np.float32), model, outputs=TOLD).compute()
    return {name: float(values.mean()) for name, values in found.items()}


@pytest.fixture(scope="module")
def usual(model: Model) -> dict[str, float]:
    return told(model, unstained(spots(1000)))


UNKNOWN = {
    "black": np.zeros((64, 64)),
    "grey": np.full((64, 64), 0.5),
    "white": np.ones((64, 64)),
    "noise": np.random.default_rng(0).random((64, 64)),
    "inverted": 1 - unstained(spots(1000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_the_model_does_not_know_is_seen(
    model: Model, usual: dict[str, float], kind: str
) -> None:
    found = told(model, UNKNOWN[kind])
    assert usual["cycle_error"] < 0.05
    assert found["cycle_error"] > 5 * usual["cycle_error"]
    # What has spots is made to look like a stain; what has none is not.
    flat = UNKNOWN[kind].std() == 0
    assert found["realism"] < (0.6 if flat else 1.0) * usual["realism"]
    assert found["std"] > 1.3 * usual["std"]


def test_what_the_model_knows_looks_as_real_as_real_images(
    model: Model, usual: dict[str, float]
) -> None:
    assert 0.3 < usual["realism"] < 0.8
