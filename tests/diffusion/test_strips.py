"""Drawing strip by strip gives what drawing at once gives, whatever happens in between."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from known_denoisers import normal
from small_denoisers import CARD, Heard, StopsAt, pen_of, subject

from napari_tincture.diffusion import sheets as sheet_files
from napari_tincture.diffusion.answers import Journal
from napari_tincture.diffusion.canvas import Line
from napari_tincture.diffusion.drawing import Pen, Start
from napari_tincture.diffusion.keeping import Keeping
from napari_tincture.diffusion.repainting import repaint
from napari_tincture.diffusion.sampling import find_sampler, sampler_names
from napari_tincture.diffusion.sheets import Sheets
from napari_tincture.diffusion.strips import Strips
from napari_tincture.errors import Cancelled, OutputError
from napari_tincture.models.denoising import Denoising

COARSE = replace(CARD, coarse=2, coarse_level=0.6)
SHAPES = [(70, 45), (150, 64), (36, 100), (33, 20)]


def in_strips(pen: Pen, **settings: Any) -> Pen:
    return replace(pen, most=1, **settings)


@pytest.mark.parametrize("size", [32, 33, 40, 56, 57, 200])
def test_strips_are_all_rows_once_and_know_their_windows(size: int) -> None:
    line = Line(0, size, 32, 8)
    strips = Strips(line)
    rows = [strips.rows(number) for number in range(strips.count)]
    assert [r.start for r in rows] == list(line.starts)
    assert [r.stop for r in rows] == [*line.starts[1:], size]
    for window, top in enumerate(line.starts):
        seen = [n for n, r in enumerate(rows) if r.start < top + 32 and r.stop > top]
        assert list(strips.seen_by(window)) == seen
    for number, r in enumerate(rows):
        lying = [w for w, top in enumerate(line.starts) if top < r.stop and top + 32 > r.start]
        assert list(range(strips.first_on(number), number + 1)) == lying
        ended = [w for w, top in enumerate(line.starts) if top + 32 <= r.stop]
        assert list(range(strips.first_below(number))) == ended


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sampler_names())
def test_the_image_is_that_of_drawing_at_once(name: str, shape: tuple[int, int]) -> None:
    pen, shown = pen_of(name=name), subject(*shape)
    assert torch.equal(in_strips(pen).draw(shown).image, pen.draw(shown).image)


@pytest.mark.parametrize("card", [COARSE, replace(COARSE, variance="learned")])
def test_so_it_is_with_smaller_drawings_before(card: Denoising) -> None:
    pen, shown = pen_of(card, "ddpm"), subject(150, 64)
    wanted, found = pen.draw(shown), in_strips(pen).draw(shown)
    while wanted is not None:
        assert torch.equal(found.image, wanted.image)
        found, wanted = found.coarse, wanted.coarse  # type: ignore[assignment]


def test_so_it_is_from_an_image_on() -> None:
    pen, shown = pen_of(), subject(70, 45)
    start = Start(normal((2, 72, 48)), 0.5)
    assert torch.equal(in_strips(pen).draw(shown, start).image, pen.draw(shown, start).image)


def test_a_repainted_part_joins_an_image_on_disk() -> None:
    pen, before, after = pen_of(COARSE), subject(150, 64), subject(150, 64)
    after.classes[60:70, 20:30] = 2
    at_once, _ = repaint(pen, pen.draw(before), before, after, 8)
    large = in_strips(pen)
    found, _ = repaint(large, large.draw(before), before, after, 8)
    assert torch.equal(found.image, at_once.image)


def test_few_strips_are_under_way() -> None:
    """As many as there are steps, and not as many as the canvas is high."""
    alive = []

    def look(*_: Any) -> None:
        names = [thread.name for thread in threading.enumerate()]
        alive.append(sum(name.startswith("tincture-strip") for name in names))

    in_strips(pen_of(), preview=look).draw(subject(1200, 32))
    assert len(Line(0, 1200, 32, 8).starts) > 40
    assert max(alive) <= 4 + 1


def test_progress_and_previews_are_of_all_rows() -> None:
    heard, rows = Heard(), np.zeros(152, int)

    def look(image: torch.Tensor, bounds: Any, factor: int) -> None:
        assert image.shape[1] == bounds[0].stop - bounds[0].start
        if factor == 1:
            rows[bounds[0]] += 1

    pen = in_strips(pen_of(COARSE), progress=heard, preview=look)
    pen.draw(subject(150, 64))
    total = heard.told[-1][1]
    assert heard.told == [(n, total) for n in range(total + 1)]
    assert len(set(rows.tolist())) == 1
    assert rows[0] >= 1


def test_what_looks_at_the_whole_image_is_drawn_at_once() -> None:
    pen = replace(in_strips(pen_of()), sampler=find_sampler("dpm_solver", threshold=0.9))
    assert not pen.in_strips(pen.whole(subject(150, 64)))


@pytest.mark.parametrize("questions", [1, 15, 33])
def test_a_killed_drawing_goes_on_and_leaves_no_thread(tmp_path: Path, questions: int) -> None:
    shown, before = subject(150, 64), threading.active_count()
    wanted = pen_of(COARSE).draw(shown).image

    def kept() -> Keeping:
        return Keeping(Journal(tmp_path / "answers"), Sheets(tmp_path / "sheets"))

    pen = in_strips(pen_of(COARSE), keeping=kept())
    stopping = replace(pen, asking=replace(pen.asking, check=StopsAt(questions)))
    with pytest.raises(Cancelled):
        stopping.draw(shown)
    assert threading.active_count() == before
    again = in_strips(pen_of(COARSE, progress=(heard := Heard())), keeping=kept())
    assert torch.equal(again.draw(shown).image, wanted)
    asked = again.asking.network.windows
    assert asked < pen_of(COARSE).asking.network.windows + heard.told[-1][1]
    assert heard.told[-1][0] == heard.told[-1][1]
    # Of rows of windows that no unfinished strip needs, nothing is kept.
    assert len(list((tmp_path / "answers").glob("0-*.npy"))) == 0


def test_what_another_process_has_dropped_is_drawn_again(tmp_path: Path) -> None:
    shown, wanted = subject(150, 64), pen_of().draw(subject(150, 64)).image
    pen = in_strips(pen_of(), keeping=Keeping(sheets=Sheets(tmp_path / "sheets")))
    stopping = replace(pen, asking=replace(pen.asking, check=StopsAt(60)))
    with pytest.raises(Cancelled):
        stopping.draw(shown)
    name = json.loads((tmp_path / "sheets" / "0.json").read_text())
    assert name["strips"] > 0
    # Strips are finished, and none of the answers that the next ones need was kept.
    assert torch.equal(pen.draw(shown).image, wanted)


def test_a_kill_while_the_file_is_made_is_made_good(tmp_path: Path) -> None:
    sheets = Sheets(tmp_path / "sheets")
    sheets.folder.mkdir()
    for left in (b"", b"\x93NUMPY\x01\x00"):
        (tmp_path / "sheets" / "0.npy").write_bytes(left)
        assert sheets.image(0, (2, 8, 8)).shape == (2, 8, 8)
    assert sheets.image(0, (2, 8, 12)).shape == (2, 8, 12)


def test_a_full_disk_is_said_before_it_is_drawn_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    for sheets in (Sheets(), Sheets(tmp_path / "sheets")):
        with pytest.raises(OutputError, match=r"larger than memory takes .* No space"):
            sheets.image(0, (2, 8, 8))
    assert not [*(tmp_path / "sheets").iterdir()]


def test_two_processes_fill_one_file(tmp_path: Path) -> None:
    one, other = (Sheets(tmp_path / "sheets") for _ in range(2))
    first = one.image(0, (1, 8, 8))
    first += 1
    sheet_files._make(tmp_path / "sheets" / "0.npy", (1, 8, 8))
    assert other.image(0, (1, 8, 8)).eq(1).all()


def test_a_disk_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", unknown)
    assert Sheets(tmp_path).image(0, (1, 8, 8)).shape == (1, 8, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["0.npy"]


def test_what_went_wrong_in_a_strip_is_raised() -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left")

    before = threading.active_count()
    with pytest.raises(OSError, match="no space"):
        in_strips(pen_of(), preview=fail).draw(subject(150, 64))
    assert threading.active_count() == before
