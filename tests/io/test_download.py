"""Files of the net: whole, right, and gone on with where they broke off."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import numpy as np
import pytest
from file_server import file_server
from filelock import FileLock

from napari_tincture.errors import Cancelled, ModelError, OutputError
from napari_tincture.io import download as module
from napari_tincture.io.download import download
from napari_tincture.io.safe_http import NotReached
from napari_tincture.progress import CancelToken

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
FILES = {"/a.bin": CONTENT}


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.suffix != ".lock")


def test_a_file_comes_whole_and_its_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with file_server(FILES) as server:
        found = download(
            f"{server.url}/a.bin", tmp_path / "x" / "a.bin", sha256=f"sha256:{SHA.upper()}",
            progress=lambda *now: told.append(now),
        )  # fmt: skip
        again = download(f"{server.url}/a.bin", tmp_path / "x" / "a.bin")
        assert len(server.asked) == 1
    assert found == again
    assert (found.path.read_bytes(), found.sha256) == (CONTENT, SHA)
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert left(tmp_path / "x") == ["a.bin"]


def test_what_breaks_off_is_taken_up_again(tmp_path: Path) -> None:
    with file_server(FILES) as server:
        server.breaks = {"/a.bin": [700_000, 1_000_000]}
        found = download(f"{server.url}/a.bin", tmp_path / "a.bin")
        assert server.asked == [
            ("/a.bin", ""), ("/a.bin", "bytes=700000-"), ("/a.bin", "bytes=1700000-")
        ]  # fmt: skip
    assert found.sha256 == SHA


def test_what_was_given_up_goes_on_in_a_later_call(tmp_path: Path) -> None:
    with file_server(FILES) as server:
        server.breaks = {"/a.bin": [500_000, *([0] * (module.ATTEMPTS + 1))]}
        with pytest.raises(NotReached, match=r"0\.5 MB are kept"):
            download(f"{server.url}/a.bin", tmp_path / "a.bin")
        assert left(tmp_path) == ["a.bin.part", "a.bin.part.json"]
        server.breaks, server.asked = {}, []
        assert download(f"{server.url}/a.bin", tmp_path / "a.bin").sha256 == SHA
        assert server.asked == [("/a.bin", "bytes=500000-")]
    assert left(tmp_path) == ["a.bin"]


def test_what_was_cancelled_goes_on(tmp_path: Path) -> None:
    token = CancelToken()

    def stop(done: int, _: int) -> None:
        if done > 1_000_000:
            token.cancel()

    with file_server(FILES) as server:
        with pytest.raises(Cancelled):
            download(f"{server.url}/a.bin", tmp_path / "a.bin", progress=stop, cancel=token)
        size = (tmp_path / "a.bin.part").stat().st_size
        assert 1_000_000 < size < len(CONTENT)
        assert download(f"{server.url}/a.bin", tmp_path / "a.bin").sha256 == SHA
        assert server.asked[1:] == [("/a.bin", f"bytes={size}-")]


def test_a_part_of_another_version_is_not_mixed_in(tmp_path: Path) -> None:
    with file_server(dict(FILES)) as server:
        server.breaks = {"/a.bin": [500_000, *([0] * (module.ATTEMPTS + 1))]}
        with pytest.raises(NotReached):
            download(f"{server.url}/a.bin", tmp_path / "a.bin")
        server.files["/a.bin"] = other = bytes(reversed(CONTENT))
        server.breaks = {}
        assert download(f"{server.url}/a.bin", tmp_path / "a.bin").path.read_bytes() == other


@pytest.mark.parametrize("size", [3_000_000, 3_000_005])
def test_a_part_that_is_as_long_as_the_whole_or_longer(tmp_path: Path, size: int) -> None:
    with file_server(FILES) as server:
        url = f"{server.url}/a.bin"
        tag = f'\\"{SHA[:8]}\\"'
        (tmp_path / "a.bin.part.json").write_text(f'{{"url": "{url}", "version": "{tag}"}}')
        (tmp_path / "a.bin.part").write_bytes((CONTENT + b"12345")[:size])
        assert download(url, tmp_path / "a.bin").sha256 == SHA
        assert len(server.asked) == (1 if size == len(CONTENT) else 2)


@pytest.mark.parametrize(("ranges", "versions"), [(False, True), (True, False), (False, False)])
def test_servers_that_cannot_go_on_begin_anew(tmp_path: Path, ranges: bool, versions: bool) -> None:
    with file_server(FILES, ranges=ranges, versions=versions) as server:
        server.breaks = {"/a.bin": [500_000]}
        assert download(f"{server.url}/a.bin", tmp_path / "a.bin").sha256 == SHA
        assert len(server.asked) == 2


def test_without_a_version_a_known_hash_is_enough_to_go_on(tmp_path: Path) -> None:
    with file_server(FILES, versions=False) as server:
        server.breaks = {"/a.bin": [500_000]}
        assert download(f"{server.url}/a.bin", tmp_path / "a.bin", sha256=SHA).sha256 == SHA
        assert server.asked[1] == ("/a.bin", "bytes=500000-")


def test_another_hash_leaves_nothing(tmp_path: Path) -> None:
    wrong = "0" * 64
    with file_server(FILES) as server:
        for _ in range(2):  # of what comes, and of what is there
            with pytest.raises(ModelError, match=f"SHA-256 {SHA}, expected {wrong}"):
                download(f"{server.url}/a.bin", tmp_path / "a.bin", sha256=wrong)
            assert [name for name in left(tmp_path) if not name.endswith(".json")] == []
            (tmp_path / "a.bin").write_bytes(CONTENT)
        with pytest.raises(ModelError, match="64 hexadecimal digits"):
            download(f"{server.url}/a.bin", tmp_path / "a.bin", sha256="abc")


def test_what_is_not_there_or_not_reached_is_named(tmp_path: Path) -> None:
    with file_server(FILES) as server:
        with pytest.raises(NotReached, match=r"404 Not Found\. Check the address") as caught:
            download(f"{server.url}/b.bin", tmp_path / "b.bin")
        assert caught.value.status == 404
        url = server.url
    with pytest.raises(NotReached, match=r"cannot be reached: .*refused"):
        download(f"{url}/a.bin", tmp_path / "a.bin")
    with pytest.raises(NotReached, match="cannot be reached"):
        download("https://nowhere.invalid/a.bin", tmp_path / "a.bin")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["http://example.org/a", "ftp://a/b", "file:///etc/passwd", "a.bin", "https://", "http://[x"]
)  # fmt: skip
def test_unsafe_addresses_are_refused(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with pytest.raises(ModelError, match="an address with https://"):
        download(url, tmp_path / "a")


def test_a_safe_address_leads_to_no_unsafe_one(tmp_path: Path) -> None:
    from urllib.request import Request

    from napari_tincture.io.safe_http import _Redirects

    request = Request("https://example.org/a")
    with pytest.raises(NotReached, match="not https"):
        _Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/a")
    with file_server(FILES) as server:
        server.moved = {"/old": "/a.bin", "/out": "file:///etc/passwd"}
        assert download(f"{server.url}/old", tmp_path / "a.bin").sha256 == SHA
        with pytest.raises(NotReached):
            download(f"{server.url}/out", tmp_path / "b.bin")


def test_a_full_disk_and_a_second_process_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_server(FILES) as server:
        with (
            FileLock(tmp_path / "a.bin.lock"),
            pytest.raises(OutputError, match="another process already"),
        ):
            download(f"{server.url}/a.bin", tmp_path / "a.bin")
        usage = type("Usage", (), {"free": 1_000_000})
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(OutputError, match="takes 3 MB, and 1 MB are free"):
            download(f"{server.url}/a.bin", tmp_path / "a.bin")
