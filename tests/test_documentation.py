"""The pages of the documentation: their Python runs, their pictures and links are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import DOCS, pages, run_page, steps
from manifest_panels import panels

from napari_tincture.models.shipped import VARIABLE

ROOT = DOCS.parent
PAGES = [page for page in pages() if any(step.code for step in steps(page))]
LARGEST_PICTURE = 200_000
"""Bytes of a panel's picture."""
RAW = "https://raw.githubusercontent.com/napari-tincture/napari-tincture/main/"
FILES = "https://github.com/napari-tincture/napari-tincture/blob/main/"


# Pages show trainings of a few steps, and samples that a model has not learned from: both are told.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::napari_tincture.errors.TinctureWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_a_page_shows_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    drawn = {step.picture for step in steps(page) if step.picture}
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    missing = [name for name in shown if not (page.parent / name).is_file()]
    assert not missing
    assert drawn <= {(page.parent / name).resolve().relative_to(DOCS).as_posix() for name in shown}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.name)
def test_every_panel_has_a_picture(panel) -> None:
    picture = DOCS / "panels" / f"{panel.name}.png"
    assert picture.is_file(), "run `make pictures`"
    assert picture.stat().st_size <= LARGEST_PICTURE


def test_readme_shows_pictures_and_pages_wherever_it_is_shown() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert shown
    assert all(url.startswith(RAW) for url in shown)
    urls = re.findall(r"\]\(([^)#]+)|^\[\w+\]: (\S+)$", text, re.MULTILINE)
    linked = [url for pair in urls for url in pair if url.startswith((RAW, FILES))]
    places = [url.removeprefix(RAW).removeprefix(FILES) for url in linked]
    assert [place for place in places if not (ROOT / place).exists()] == []
