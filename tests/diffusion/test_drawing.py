from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from known_denoisers import normal
from small_denoisers import CARD, Heard, SmallDenoiser, StopsAt, pen_of, subject
from torch.nn import functional

from napari_tincture.diffusion.drawing import Start
from napari_tincture.diffusion.enlarging import enlarged
from napari_tincture.diffusion.estimate import as_denoise, noised
from napari_tincture.diffusion.noise import STREAMS, NoiseField
from napari_tincture.diffusion.sampling import sampler_names
from napari_tincture.diffusion.subjects import Nothing
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.models.denoising import Denoising


@pytest.mark.parametrize("variance", ["small", "learned"])
@pytest.mark.parametrize("name", sampler_names())
def test_one_window_is_the_plain_loop(name: str, variance: str) -> None:
    card = replace(CARD, variance=variance)
    pen, shown = pen_of(card, name), subject(32, 24)
    drawn = pen.draw(shown)
    asking, schedule = pen.asking, pen.asking.schedule
    condition = shown.condition(slice(0, 32), slice(0, 24))[None]

    def noise(stream: int) -> torch.Tensor:
        return torch.from_numpy(NoiseField(5).draw(stream, 2, slice(0, 32), slice(0, 24)))[None]

    denoise = as_denoise(lambda x, t: asking(x, t, condition), schedule, card)
    with asking.session():
        wanted = pen.sampler(
            denoise, noise(0), schedule, pen.sampler.times(schedule, 4),
            noise=lambda step: noise(1 + step),
        )  # fmt: skip
    assert drawn.coarse is None
    assert drawn.image.dtype == torch.float32
    assert torch.equal(drawn.image, wanted[0])


@pytest.mark.parametrize(("height", "width"), [(30, 21), (33, 32), (70, 45), (1, 100), (64, 64)])
def test_sides_are_rounded_up_to_the_stride(height: int, width: int) -> None:
    drawn = pen_of().draw(subject(height, width))
    assert drawn.image.shape == (2, -(-height // 4) * 4, -(-width // 4) * 4)
    assert drawn.image.isfinite().all()


@pytest.mark.parametrize("name", sampler_names())
def test_a_seed_means_one_image(name: str) -> None:
    shown = subject(50, 40)
    one, again, other = (
        pen_of(name=name, noise=NoiseField(seed)).draw(shown).image for seed in (5, 5, 6)
    )
    assert torch.equal(one, again)
    assert (one - other).abs().mean() > 0.01


def test_windows_together_change_no_pixel() -> None:
    shown = subject(70, 80)
    one, more = (pen_of(together=n).draw(shown).image for n in (1, 5))
    assert torch.equal(one, more)


@pytest.mark.parametrize(("card", "shape"), [
    (CARD, (32, 32)),
    (CARD, (70, 45)),
    (replace(CARD, coarse=2), (70, 45)),
    (replace(CARD, coarse=2), (150, 64)),
    (replace(CARD, coarse=4, coarse_level=0.999), (60, 60)),
])  # fmt: skip
@pytest.mark.parametrize("name", sampler_names())
def test_progress_counts_windows(name: str, card: Denoising, shape: tuple[int, int]) -> None:
    heard = Heard()
    pen = pen_of(card, name, progress=heard)
    pen.draw(subject(*shape))
    network, total = pen.asking.network, heard.told[-1][1]
    assert heard.told == [(n, total) for n in range(total + 1)]
    assert total == network.windows


@pytest.mark.parametrize("level", [0.3, 0.9, 1.0])
def test_progress_counts_windows_from_an_image_on(level: float) -> None:
    heard = Heard()
    # Its own start takes the place of the smaller drawing.
    pen = pen_of(replace(CARD, coarse=2, coarse_level=0.1), "heun", progress=heard)
    pen.draw(subject(40, 64), Start(normal((2, 40, 64)), level))
    assert heard.told[-1] == (pen.asking.network.windows,) * 2


@pytest.mark.parametrize("questions", [0, 1, 7])
def test_a_drawing_ends_when_it_should(questions: int) -> None:
    pen = pen_of()
    pen = replace(pen, asking=replace(pen.asking, check=StopsAt(questions)))
    with pytest.raises(Cancelled):
        pen.draw(subject(70, 45))
    assert pen.asking.network.calls <= questions


def test_steps_are_told_of_the_drawing_alone() -> None:
    told = []
    pen_of(replace(CARD, coarse=2), callback=told.append).draw(subject(40, 64))
    assert {moment.x.shape for moment in told} == {(1, 2, 40, 64)}
    assert [moment.number for moment in told] == list(range(1, told[0].of + 1))


def test_a_drawing_begins_with_an_image() -> None:
    shown, image = subject(32, 32), normal((2, 32, 32), 3).clamp(-1, 1)
    pen = pen_of(steps=50)
    drawn = {level: pen.draw(shown, Start(image, level)).image for level in (0.2, 0.9, 0.9999)}
    off = [float((drawn[level] - image).square().mean()) for level in sorted(drawn)]
    # The more of the image is left, the closer the drawing stays to it.
    assert off[0] > off[1] > off[2]
    times = pen.times(0.9)
    assert pen.asking.schedule.level(times[0]) >= 0.9
    assert set(times) < set(pen.times(None))


def test_large_drawings_begin_with_a_smaller_one() -> None:
    card = replace(CARD, coarse=2, coarse_level=0.6)
    pen, shown = pen_of(card), subject(50, 60)
    drawn = pen.draw(shown)
    assert drawn.coarse is not None
    assert drawn.coarse.coarse is None
    # Of the smaller plane, with noise of its own.
    asking, schedule = pen.asking, pen.asking.schedule
    small = shown.coarser(2)
    condition = small.condition(slice(0, 28), slice(0, 32))[None]
    noise = torch.from_numpy(NoiseField(5).draw(STREAMS, 2, slice(0, 28), slice(0, 32)))[None]
    denoise = as_denoise(lambda x, t: asking(x, t, condition), schedule, card)
    with asking.session():
        wanted = pen.sampler(denoise, noise, schedule, pen.times(None), noise=lambda step: noise)
    assert torch.equal(drawn.coarse.image, wanted[0])
    # And the large one begins with it, at its level.
    start = Start(enlarged(wanted[0], 2, (slice(0, 52), slice(0, 60))), 0.6)
    assert torch.equal(drawn.image, pen.draw(shown, start).image)


class OfStart:
    """Remembers the first image that a sampler was given."""

    def __init__(self) -> None:
        self.first: torch.Tensor | None = None

    def __call__(self, denoise):
        def watched(x: torch.Tensor, time: float):
            if self.first is None:
                self.first = x
            return denoise(x, time)

        return watched


def test_images_begin_as_noisy_as_their_level() -> None:
    pen, image, watched = pen_of(steps=40), normal((2, 32, 32), 3), OfStart()
    canvas = pen.whole(Nothing((32, 32)))
    pen.sample(subject(32, 32), canvas, 0, Start(image, 0.7), lambda _: None, watched)
    share = pen.asking.schedule.alpha_bar(pen.times(0.7)[0])
    noise = torch.from_numpy(NoiseField(5).draw(0, 2, *canvas.bounds))
    assert torch.equal(watched.first, noised(image, noise, share)[None])
    assert 0.7**2 <= share < 0.85**2


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_smaller_drawings_go_down_to_one_window(levels: int) -> None:
    drawn = pen_of(replace(CARD, coarse=2)).draw(subject(16 * 2**levels, 20))
    sides = []
    while drawn is not None:
        sides.append(drawn.image.shape[1])
        drawn = drawn.coarse
    assert sides == [16 * 2**k for k in range(levels, 0, -1)]


@pytest.mark.parametrize("seed", [0, 1])
def test_windows_leave_no_seams(seed: int) -> None:
    def jumps(overlap: int) -> float:
        """Mean jump across windows' edges, against that elsewhere."""
        # Of a network that finds images there are structures to see, and not noise alone.
        card = replace(CARD, overlap=overlap, predicts="image")
        pen = pen_of(card, steps=10, noise=NoiseField(seed))
        shown = Nothing((256, 256))
        pen = replace(pen, asking=replace(pen.asking, network=SmallDenoiser(told=0)))
        image = pen.draw(shown).image.numpy()
        starts = pen.whole(shown).x.starts
        edges = sorted({*starts[1:], *(s + 32 for s in starts[:-1])})
        steps = sum(np.abs(np.diff(image, axis=axis)).mean((0, 3 - axis)) for axis in (1, 2))
        inside = np.setdiff1d(np.arange(1, 256), edges)
        return float(steps[np.array(edges) - 1].mean() / steps[inside - 1].mean())

    # Without overlaps, windows of a network that pads differ at their edges.
    assert jumps(0) > 3
    assert jumps(8) <= 1


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_rectangles_of_enlarged_images_are_those_of_the_whole(factor: int) -> None:
    image = normal((2, 20, 24))
    whole = functional.interpolate(image[None], scale_factor=factor, mode="bicubic")[0]
    height, width = whole.shape[1:]
    for y, x in (
        (slice(0, height), slice(0, width)),
        (slice(7, 8), slice(12, 31)),
        (slice(0, 11), slice(width - 5, width)),
        (slice(30, height), slice(1, 9)),
    ):
        # Places are computed in float32: of thirds, they round a little otherwise.
        found = enlarged(image, factor, (y, x))
        torch.testing.assert_close(found, whole[:, y, x], rtol=0, atol=2e-5)


def test_what_cannot_begin_is_refused() -> None:
    for level in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"level=.*: expected above 0"):
            Start(normal((2, 8, 8)), level)
    with pytest.raises(InputError, match=r"\(32, 24\) pixels cannot begin with .* \(24, 32\)"):
        pen_of().draw(subject(32, 24), Start(normal((2, 24, 32)), 0.5))
