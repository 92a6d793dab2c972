"""Styles of synthetic images: drawn from the seed, known by number or name, or those of images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from painters import at_once, denoiser, label_map, styled

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.models.encoders.spade_style import drawn_styles, style_of

SPADE = styled()
DENOISER = denoiser()
LABELS = label_map(40, 70)


def coloured(seed: int = 0, height: int = 24, width: int = 30) -> NDArray[np.uint8]:
    """A noisy picture (c, y, x) with a colour of its own."""
    rng = np.random.default_rng(seed)
    means = rng.integers(0, 200, (3, 1, 1))
    return (means + rng.integers(0, 50, (3, height, width))).astype(np.uint8)


def picture(seed: int = 0, **size: int) -> nt.Raster:
    return nt.open_image(coloured(seed, **size), axes="cyx")


def made(model: Any = SPADE, **how: Any) -> NDArray[Any]:
    return np.asarray(nt.synthesize(LABELS, model, **how))


def whole(style: torch.Tensor) -> NDArray[Any]:
    """What the network itself makes of the map, mirrored to multiples of its stride."""
    maps = np.stack([value == LABELS for value in (0, 1, 4)]).astype(np.float32)
    edges = [(0, 0), (0, 64 - 40), (0, 96 - 70)]
    extended = torch.from_numpy(np.pad(maps, edges, mode="reflect"))[None]
    with torch.inference_mode():
        return SPADE.network(extended, style)[0, :, :40, :70].numpy()


def test_spade_draws_a_style_from_the_seed() -> None:
    values = made(seed=5, dtype="float32")
    np.testing.assert_allclose(values, whole(drawn_styles(3, 5)), atol=1e-5)
    assert (made(seed=5) != made(seed=6)).any()
    np.testing.assert_allclose(made(style=0, dtype="float32"), whole(torch.zeros(1, 3)), atol=1e-5)
    assert SPADE.network.style is None


@pytest.mark.parametrize("size", [{}, {"height": 200, "width": 17}])
def test_spade_takes_the_style_of_an_image_of_any_size(size: dict[str, int]) -> None:
    image = coloured(3, **size)
    seen = torch.from_numpy(image[None].astype(np.float32)) / 127.5 - 1
    expected = whole(style_of(SPADE.part("encoder"), seen))
    values = made(style=picture(3, **size), dtype="float32")
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert (made(style=picture(4)) != made(style=picture(3))).any()


def test_a_model_from_a_file_keeps_its_style_in_another_process(tmp_path: Path) -> None:
    path = SPADE.save(tmp_path / "styled.safetensors")
    result = nt.synthesize(LABELS, path, style=picture(3))
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(result))), made(
        style=picture(3)
    ))  # fmt: skip


@pytest.mark.parametrize("model", [SPADE, denoiser(outputs=3)])
def test_a_run_with_another_style_does_not_go_on_where_one_was_stopped(model: Any) -> None:
    how = {} if model is SPADE else {"steps": 2}
    kinds = [{"style": picture(1)}, {"style": picture(2)}, {"style": 0}, {}]
    if model is not SPADE:
        kinds += [{"style": 1}, {"style": picture(1), "style_strength": 0.3}]
    found = [repr(nt.synthesize(LABELS, model, **how, **kind).runner.identity()) for kind in kinds]
    assert len(set(found)) == len(found)
    again = nt.synthesize(LABELS, model, **how, style=picture(1)).runner.identity()
    assert repr(again) == found[0]


def test_the_provenance_names_the_style() -> None:
    step = nt.synthesize(LABELS, SPADE, style=picture(3)).provenance["steps"][-1]
    assert step["settings"]["style"]["shape"] == [3, 24, 30]
    named = DENOISER.with_card(DENOISER.card.replace(styles=("day", "night")))
    step = nt.synthesize(LABELS, named, steps=2, style="night").provenance["steps"][-1]
    assert step["settings"]["style"] == "night"


def test_styles_have_names() -> None:
    named = DENOISER.with_card(DENOISER.card.replace(styles=("day", "night")))
    by_name, by_number = (made(named, steps=2, style=style) for style in ("night", 2))
    np.testing.assert_array_equal(by_name, by_number)
    assert (by_name != made(named, steps=2, style="day")).any()


@pytest.mark.parametrize("shape", [(24, 30), (96, 90), (13, 200)])
def test_denoisers_start_from_images_of_any_size(shape: tuple[int, int]) -> None:
    low, high = np.full(shape, 20, np.uint8), np.full(shape, 230, np.uint8)
    found = [made(DENOISER, steps=2, style=image, style_strength=0.995) for image in (low, high)]
    assert found[0].shape == LABELS.shape
    assert found[0].mean() < 90 < 160 < found[1].mean()


def test_the_middle_of_a_larger_image_is_started_from_not_squeezed() -> None:
    stripes = np.zeros((40, 210), np.uint8)
    stripes[:, 70:140] = 200
    found = made(DENOISER, steps=2, style=stripes, style_strength=0.995)
    even = made(DENOISER, steps=2, style=np.full((40, 70), 200, np.uint8), style_strength=0.995)
    np.testing.assert_array_equal(found, even)


@pytest.mark.parametrize(
    ("model", "style", "message"),
    [
        (styled(encoder=False), picture(), "keeps no encoder"),
        (styled(norm="instance"), picture(), "instance norms"),
        (SPADE, 2, "no styles by number"),
        (SPADE, np.full((24, 30), 3.0), "makes 3"),
        (at_once(), picture(), "knows no styles"),
        (DENOISER, "dusk", "styles 1 to 2"),
        (DENOISER, Path("nowhere.png"), "no file"),
    ],
)
def test_styles_that_a_model_cannot_have_are_refused(model: Any, style: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        nt.synthesize(LABELS, model, style=style)


@pytest.mark.parametrize("model", [SPADE, denoiser(outputs=3)])
def test_nan_in_a_style_image_is_refused_by_name(model: Any) -> None:
    image = nt.Raster.from_array(np.full((3, 8, 8), np.nan), "cyx", name="broken")
    with pytest.raises(InputError, match=r"'broken' holds NaN"):
        nt.synthesize(LABELS, model, style=image)


class Weaver(torch.nn.Module):
    """A denoiser that knows the image: classes by brightness, styles by colour and by stripes."""

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, condition: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        """(b, 3, y, x), all of it the image."""
        levels = torch.tensor([-0.6, -0.1, 0.4]).reshape(1, 3, 1, 1)
        upright = (style == 1).float()[:, None, None, None]
        tint = 0.2 * torch.cat([upright, -upright, 1 - upright], 1)
        y, x_ = (torch.arange(n) // 2 % 2 for n in x.shape[2:])
        stripes = 0.1 * (upright * x_[None] + (1 - upright) * y[:, None])
        return (condition * levels).sum(1, keepdim=True) + tint + stripes


def test_two_styles_of_a_map_differ_in_colour_and_texture_not_in_layout() -> None:
    card = denoiser(outputs=3, predicts="image", guided=False).card
    model = nt.Model(Weaver(), card)
    upright, level = (made(model, style=style, steps=3).astype(float) for style in (1, 2))
    assert (np.abs(upright.mean((1, 2)) - level.mean((1, 2))) > 15).all()
    inside = LABELS == 0
    across, down = (
        [np.abs(np.diff(image, axis=axis)).mean() for image in (upright, level)] for axis in (2, 1)
    )
    assert across[0] > across[1] + 3
    assert down[1] > down[0] + 3
    for value, darker in ((1, inside), (4, LABELS == 1)):
        for image in (upright, level):
            assert image[:, value == LABELS].min(1).min() > image[:, darker].mean()
