from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from small_denoisers import Heard, SmallDenoiser, StopsAt

from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.canvas import Place
from napari_tincture.diffusion.drawing import Drawn, Pen
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.diffusion.repainting import areas, repaint
from napari_tincture.diffusion.sampling import find_sampler, sampler_names
from napari_tincture.diffusion.subjects import LabelMap
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.models.denoising import Denoising

# Of a network that finds images, so that not all pixels are black or white.
CARD = Denoising(window=32, overlap=8, predicts="image")
COARSE = replace(CARD, coarse=2)


def pen_of(card: Denoising = CARD, name: str = "ddim", **settings: Any) -> Pen:
    given = {"steps": 4, "noise": NoiseField(5), "channels": 2, "stride": 4} | settings
    return Pen(Asking(SmallDenoiser(), card), find_sampler(name), **given)


def plain(height: int, width: int) -> LabelMap:
    y, x = np.mgrid[:height, :width]
    return LabelMap(((y // 9 + x // 7) % 2).astype(np.int16), 3)


def edited(before: LabelMap, *places: Place) -> LabelMap:
    classes = before.classes.copy()
    for place in places:
        classes[place] = 2
    return replace(before, classes=classes)


def place(y: int, x: int, side: int = 6) -> Place:
    return slice(y, y + side), slice(x, x + side)


def kept(before: LabelMap, after: LabelMap, margin: int, one: Drawn, other: Drawn) -> bool:
    """Whether pixels at least so far from any change, or without, are the same to the bit."""
    changed = before.changed(after)
    far = torch.from_numpy(ndimage.distance_transform_edt(~changed) >= max(margin, 1))
    images = (drawn.image[:, : changed.shape[0], : changed.shape[1]] for drawn in (one, other))
    return torch.equal(*(image[:, far] for image in images))


EDITS = {
    "inside": (place(50, 60),),
    "corner": (place(0, 0),),
    "edge": (place(90, 30),),
    "far corner": (place(94, 121),),
    "two": (place(10, 10), place(80, 110)),
    "all": ((slice(None), slice(None)),),
    "one pixel": (place(40, 41, 1),),
}


@pytest.mark.parametrize("margin", [0, 1, 7, 16])
@pytest.mark.parametrize("card", [CARD, COARSE], ids=["plain", "coarse"])
@pytest.mark.parametrize("edit", EDITS)
def test_beyond_the_margin_no_bit_changes(edit: str, card: Denoising, margin: int) -> None:
    pen, before = pen_of(card), plain(98, 125)
    after = edited(before, *EDITS[edit])
    known = pen.draw(before)
    image = known.image.clone()
    drawn, _ = repaint(pen, known, before, after, margin)
    assert kept(before, after, margin, known, drawn)
    changed = torch.from_numpy(before.changed(after))
    assert (drawn.image != known.image)[:, :98, :125][:, changed].any()
    assert torch.equal(known.image, image)


@pytest.mark.parametrize("margin", [0, 3, 16])
def test_smaller_drawings_are_kept_as_well(margin: int) -> None:
    pen, before = pen_of(COARSE), plain(100, 128)
    after = edited(before, place(40, 60, 12))
    known = pen.draw(before)
    drawn, _ = repaint(pen, known, before, after, margin)
    one, other, sides = known.coarse, drawn.coarse, 0
    while one is not None:
        assert other is not None
        before, after = before.coarser(2), after.coarser(2)
        margin = -(-margin // 2)
        assert kept(before, after, margin, one, other)
        assert not torch.equal(one.image, other.image)
        one, other, sides = one.coarse, other.coarse, sides + 1
    assert other is None
    assert sides == 2


@pytest.mark.parametrize("card", [CARD, COARSE], ids=["plain", "coarse"])
def test_where_nothing_changes_nothing_is_asked(card: Denoising) -> None:
    heard = Heard()
    pen, before = pen_of(card), plain(70, 60)
    known = pen.draw(before)
    pen.asking.network.windows = 0
    drawn, places = repaint(replace(pen, progress=heard), known, before, edited(before), 8)
    assert pen.asking.network.windows == 0
    assert places == []
    assert heard.told == []
    while known is not None:
        assert torch.equal(drawn.image, known.image)
        known, drawn = known.coarse, drawn.coarse


@pytest.mark.parametrize("margin", [0, 32, 64])
def test_a_small_change_of_a_large_image_costs_little(margin: int) -> None:
    card = replace(CARD, window=256, overlap=48)
    pen, before = pen_of(card, stride=16), plain(2048, 2048)
    after = edited(before, place(1000, 700, 128))
    found = areas(pen, before, after, margin)
    assert sum(area.canvas.count for area in found) < 0.05 * pen.whole(after).count
    assert margin > 32 or sum(area.canvas.count for area in found) == 1


def test_only_the_changed_areas_windows_are_asked() -> None:
    pen, before = pen_of(), plain(256, 256)
    after = edited(before, place(100, 150))
    known = Drawn(torch.zeros(2, 256, 256))
    _, (found,) = repaint(pen, known, before, after, 4)
    # 6 pixels, 4 around them that may change, and of the rest what one window has room for: it
    # has moved to a multiple of 4, so that 8 on either side would take more windows.
    assert pen.asking.network.windows <= len(pen.times(None))
    y, x = found
    assert y.start <= 100 - 4 - 2 < 106 + 4 + 2 <= y.stop
    assert x.start <= 150 - 4 - 2 < 156 + 4 + 2 <= x.stop
    assert all(edge % 4 == 0 for s in found for edge in (s.start, s.stop))


@pytest.mark.parametrize(
    ("places", "count"),
    [
        ((place(20, 20), place(180, 200)), 2),
        ((place(20, 20), place(26, 26)), 1),
        # Close enough that each one's surroundings reach into the other's.
        ((place(20, 20), place(20, 40)), 1),
        ((place(20, 20), place(20, 150), place(180, 90)), 3),
        # The first two are joined by what joins the third with both.
        ((place(20, 20), place(20, 72), place(20, 46)), 1),
        ((), 0),
    ],
)
def test_changes_are_drawn_together_if_they_touch(places: tuple[Place, ...], count: int) -> None:
    pen, before = pen_of(), plain(256, 256)
    found = areas(pen, before, edited(before, *places), 4)
    assert len(found) == count
    covered = np.zeros((256, 256), int)
    for area in found:
        covered[area.canvas.bounds] += 1
    assert covered.max(initial=0) <= 1
    assert all(covered[own].all() for own in places)


def test_weights_fade_within_the_margin() -> None:
    pen, before = pen_of(), plain(128, 128)
    after = edited(before, place(60, 60))
    (area,) = areas(pen, before, after, 16)
    changed = before.changed(after)[area.canvas.bounds]
    distance = ndimage.distance_transform_edt(~changed)
    assert (area.weight[changed] == 1).all()
    assert (area.weight[distance <= 12] == 1).all()
    assert (area.weight[distance >= 16] == 0).all()
    fading = (distance > 12) & (distance < 16)
    # Over the outermost quarter.
    np.testing.assert_allclose(area.weight[fading], (16 - distance[fading]) / 4, rtol=1e-6)


@pytest.mark.parametrize("shape", [(20, 24), (31, 15), (32, 32), (3, 70)])
def test_images_smaller_than_a_window_are_one_area(shape: tuple[int, int]) -> None:
    pen, before = pen_of(), plain(*shape)
    after = edited(before, place(1, 1, 1))
    known = pen.draw(before)
    drawn, _ = repaint(pen, known, before, after, 2)
    assert kept(before, after, 2, known, drawn)
    assert not torch.equal(drawn.image, known.image)


def test_what_is_mirrored_beyond_an_edge_changes_with_it() -> None:
    pen, before = pen_of(), plain(30, 30)
    # Two rows are mirrored beyond the last one; the last but one is the first of them.
    after = edited(before, (slice(28, 29), slice(5, 9)))
    (area,) = areas(pen, before, after, 0)
    whole = slice(0, 32), slice(0, 32)
    shown, was = (subject.condition(*whole).numpy() for subject in (after, before))
    assert area.canvas.bounds == whole
    np.testing.assert_array_equal(area.weight > 0, (shown != was).any(0))


@pytest.mark.parametrize("name", sampler_names())
@pytest.mark.parametrize("card", [CARD, COARSE], ids=["plain", "coarse"])
def test_repainting_is_a_matter_of_the_seed(name: str, card: Denoising) -> None:
    pen, before = pen_of(card, name), plain(64, 60)
    after, known = edited(before, place(30, 20)), pen.draw(before)
    (one, _), (again, _) = (repaint(pen, known, before, after, 8) for _ in range(2))
    other, _ = repaint(replace(pen, noise=NoiseField(6)), known, before, after, 8)
    assert torch.equal(one.image, again.image)
    changed = torch.from_numpy(before.changed(after))
    assert not torch.equal(one.image[:, :64, :60][:, changed], other.image[:, :64, :60][:, changed])


@pytest.mark.parametrize("name", sampler_names())
@pytest.mark.parametrize("card", [CARD, COARSE], ids=["plain", "coarse"])
def test_progress_counts_windows(name: str, card: Denoising) -> None:
    heard = Heard()
    pen, before = pen_of(card, name, progress=heard), plain(100, 90)
    known = pen.draw(before)
    heard.told.clear()
    pen.asking.network.windows = 0
    repaint(pen, known, before, edited(before, place(5, 5), place(80, 70)), 4)
    total = pen.asking.network.windows
    assert heard.told == [(n, total) for n in range(total + 1)]


def test_repainting_ends_when_it_should() -> None:
    pen, before = pen_of(), plain(64, 60)
    known = pen.draw(before)
    image = known.image.clone()
    stopped = replace(pen, asking=replace(pen.asking, check=StopsAt(2)))
    with pytest.raises(Cancelled):
        repaint(stopped, known, before, edited(before, place(30, 20)), 8)
    assert torch.equal(known.image, image)


def test_subjects_of_other_sizes_are_refused() -> None:
    pen, before = pen_of(), plain(32, 32)
    with pytest.raises(InputError, match=r"\(32, 36\) pixels and was \(32, 32\).*whole image"):
        repaint(pen, Drawn(torch.zeros(2, 32, 32)), before, plain(32, 36), 4)


class Perfect(SmallDenoiser):
    """Knows the image where the map shows the last class, an empty one elsewhere."""

    def forward(self, x: torch.Tensor, time: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        super().forward(x, time, condition)
        return condition[:, 2:].expand_as(x) * 0.5


def test_what_changed_shows_what_it_should() -> None:
    pen, before = pen_of(), plain(64, 64)
    pen = replace(pen, asking=replace(pen.asking, network=Perfect()))
    after = edited(before, place(30, 20))
    known = pen.draw(before)
    drawn, _ = repaint(pen, known, before, after, 8)
    wanted = torch.from_numpy(before.changed(after)).float() * 0.5
    # A sampler's last step is the image as it is guessed; windows' weights add up to 1 ± 1e-7.
    torch.testing.assert_close(drawn.image, wanted.expand(2, -1, -1), rtol=0, atol=1e-6)
