"""A report holds everything, needs no other file, and opens in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import dask.array as da
import numpy as np
import pytest

from napari_tincture import Comparison, Raster, compare
from napari_tincture.errors import OutputError
from napari_tincture.tasks._pictures import picture_of, shrunk
from napari_tincture.tasks._report_parts import SMALL, coarse
from napari_tincture.tasks._report_pdf import WIDTH, table_lines

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def found() -> Comparison:
    random = np.random.default_rng(0)
    values = random.integers(0, 255, (90, 120, 3), np.uint8)
    noisy = np.clip(values + random.normal(0, 20, values.shape), 0, 255).astype(np.uint8)
    made = {"steps": [{"step": "stain", "model": "phase-to-dapi", "model_file": None}]}
    images = [
        Raster.from_array(v, "yxc", name=name, rgb=True, provenance=made)
        for v, name in ((noisy, "stain <1>"), (values // 2 + 40, "stain & 2"))
    ]
    reference = Raster.from_array(values, "yxc", name="real", rgb=True)
    flat = np.full((90, 120, 3), 9, np.uint8)
    images.append(Raster.from_array(flat, "yxc", name="flat", rgb=True))
    return compare(images, reference, regions="grid:60", maps=True)


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.pictures: list[dict[str, str]] = []
        self.links: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        named = dict(attrs)
        self._inside = tag
        if tag == "img":
            self.pictures.append(named)
        self.links += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data) -> None:
        if self._inside in ("td", "th"):
            self.cells.append(data)

    def handle_endtag(self, tag) -> None:
        self._inside = ""


def test_a_page_holds_table_pictures_settings_and_origins(found, tmp_path) -> None:
    text = found.report(tmp_path / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.cells[: len(found.columns)] == found.columns
    assert len(page.cells) == len(found.columns) * (1 + len(found.table))
    assert "stain <1>" in page.cells
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    # One per image and reference; one per map and channel.
    assert len(page.pictures) == 4 + 3 * len(found.maps)
    assert "http://" not in text
    assert "https://" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    for needed in ("grid:60", "pearson of flat", "Model phase-to-dapi"):
        assert needed in text
    assert "napari-tincture" in text


def test_the_best_of_each_place_is_marked(found, tmp_path) -> None:
    text = found.report(tmp_path / "report.html").read_text("utf-8")
    assert text.count('class="best"') == len(found.best)
    rows = [r for r in found.table if (r["channel"], r["region"]) == ("r", "y 0, x 0")] or [
        r for r in found.table if r["region"] == "y 0, x 0"
    ][:3]
    best = max(rows, key=lambda row: row["ssim"])
    assert (found.table.index(best), "ssim") in found.best


def test_a_single_image_has_no_best(found) -> None:
    image = found.images["flat"]
    assert compare(image, found.reference, metrics=["psnr"]).best == frozenset()


@pytest.mark.slow
def test_a_browser_shows_the_table_and_the_pictures(found, tmp_path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome is installed")
    target = found.report(tmp_path / "report.html")
    # The page tells of itself what it shows once it is laid out.
    probe = """<script>addEventListener('load', () => {
      const images = [...document.images];
      document.title = JSON.stringify({
        rows: document.querySelectorAll('tbody tr').length,
        shown: document.querySelector('table').getBoundingClientRect().height > 50,
        pictures: images.filter(i => i.complete && i.naturalWidth > 20).length,
        broken: images.filter(i => !i.naturalWidth).length,
        before: document.querySelector('tbody td:last-child').textContent,
        after: (document.querySelector('th:last-child').click(),
          document.querySelector('tbody td:last-child').textContent)});
    })</script></body>"""
    page = tmp_path / "probe.html"
    page.write_text(target.read_text("utf-8").replace("</body>", probe), "utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    told = json.loads(unescape(title.group(1)))
    assert told["rows"] == len(found.table)
    assert told["shown"]
    assert told["pictures"] == 4 + 3 * len(found.maps)
    assert told["broken"] == 0
    worst = min(row["pearson"] for row in found.table if row["pearson"] == row["pearson"])
    assert float(told["after"]) == pytest.approx(worst, rel=1e-3)


@pytest.mark.slow
def test_a_pdf_has_the_table_and_the_pictures(found, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    data = found.report(tmp_path / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    pictures = 4 + 3 * len(found.maps)
    assert data.count(b"/Subtype /Image") >= pictures
    assert data.count(b"/Type /Page ") >= 2 + pictures // 6


def test_lines_of_a_wide_table_fit_on_the_page(found) -> None:
    lines = table_lines(found, width=70)
    assert max(map(len, lines)) <= 70 < max(map(len, table_lines(found))) <= WIDTH
    words = " ".join(lines).split()
    assert set(found.figures) <= set(words)
    blocks = "\n".join(lines).split("\n\n")
    assert len(blocks) > 1
    assert all(len(block.splitlines()) == len(found.table) + 1 for block in blocks)


def test_other_endings_and_places_are_refused(found, tmp_path) -> None:
    with pytest.raises(OutputError, match=r"\.html or \.pdf"):
        found.report(tmp_path / "report.docx")
    with pytest.raises(OutputError, match="nowhere"):
        found.report(tmp_path / "nowhere" / "report.html")


def test_large_maps_are_sampled_in_patches() -> None:
    read = []

    def block(block_info=None):
        read.append(1)
        y, x = block_info[None]["array-location"]
        return np.full((y[1] - y[0], x[1] - x[0]), y[0], np.float32)

    side = 2**14
    values = da.map_blocks(block, chunks=((512,) * 32, (512,) * 32), dtype=np.float32)
    plane = Raster.from_array(values, "yx")
    assert side * side > SMALL
    shown = coarse(plane)
    assert len(read) <= 4 * 12 * 12
    assert (np.diff(shown[:, 0]) >= 0).all()
    assert shown[-1, 0] > 0.9 * side


def test_pictures_are_small_and_show_labels_and_channels() -> None:
    labels = np.zeros((3000, 100), np.uint16)
    labels[100:200], labels[300:400] = 1, 2
    picture = picture_of(Raster.from_array(labels, "yx", kind="labels"))
    assert max(picture.shape) <= 720
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 3
    values = np.zeros((2, 50, 60), np.float32)
    values[0, :25], values[1, 25:] = 1, 5
    display = {"colours": ["red", "#00ff00"], "limits": [[0, 1], [0, 5]]}
    picture = picture_of(Raster.from_array(values, "cyx", display=display))
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert picture[49, 0].tolist() == [0, 255, 0]
    means = shrunk(np.array([[1.0, 3.0], [np.nan, np.nan]]), side=1)
    assert means.tolist() == [[2.0]]
