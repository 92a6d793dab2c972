"""Models of the net: files, packages and ids, from a server on the loopback."""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from file_server import FileServer, file_server
from packages import described, files, sha
from typer.testing import CliRunner

import napari_tincture as nt
from napari_tincture.cli.app import app
from napari_tincture.io import fetch_model as module
from napari_tincture.io.fetch_model import downloads_folder
from napari_tincture.models import Channel, Model, ModelCard, consent
from napari_tincture.models.registry import build_network
from napari_tincture.models.shipped import VARIABLE

IDS = {
    "description": "/artifacts/{id}/files/rdf.yaml",
    "map": "/id_map.json",
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    monkeypatch.setattr(consent, "_GIVEN", {})
    before = set(sys.modules)
    yield tmp_path / "own"
    for name in set(sys.modules) - before:
        if name.startswith("napari_tincture_package"):  # others look whether a program was run
            del sys.modules[name]


@pytest.fixture
def server(own: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server({}) as server:
        for name, place in IDS.items():
            monkeypatch.setitem(module.BIOIMAGE_IO, name, server.url + place)
        yield server


def weights(seed: int = 0) -> bytes:
    torch.manual_seed(seed)
    options = {"in_channels": 1, "out_channels": 1, "depth": 1, "width": 4}
    card = ModelCard("small", "stain", "unet", (Channel("a"),), (Channel("b"),), options)
    return saved(Model(build_network("unet", options), card))


def saved(model: Model) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return model.save(Path(folder) / "m.safetensors").read_bytes()


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def ours(own: Path) -> list[str]:
    return sorted(path.stem for path in own.glob("*.safetensors"))


def nothing_left(own: Path) -> None:
    assert list(downloads_folder().glob("*")) == []


def ask(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_a_model_file_is_taken_once(server: FileServer, own: Path) -> None:
    server.files["/m/x.safetensors"] = content = weights()
    url = f"{server.url}/m/x.safetensors"
    told: list[tuple[int, int]] = []
    model = nt.download_model(url, progress=lambda *now: told.append(now))
    assert told[-1] == (len(content), len(content))
    assert model.card.name == "small"
    assert model.card.origin == {"url": url, "sha256": sha(content)}
    nothing_left(own)
    assert nt.download_model(url).card.name == "small"
    asked = len(server.asked)
    assert nt.download_model(url, sha256=sha(content)).card.name == "small"
    assert len(server.asked) == asked, "its hash is known"
    assert nt.download_model(url, name="other").card.name == "other"
    assert ours(own) == ["other", "small"]


def test_what_has_changed_is_refused_unless_it_is_expected(server: FileServer, own: Path) -> None:
    server.files["/x.safetensors"] = before = weights()
    url = f"{server.url}/x.safetensors"
    nt.download_model(url)
    server.files["/x.safetensors"] = now = weights(1)
    with pytest.raises(nt.ModelError, match=f"{sha(now)}, and {sha(before)}") as caught:
        nt.download_model(url)
    assert f'sha256="{sha(now)}"' in str(caught.value)
    assert ours(own) == ["small"]
    nothing_left(own)
    assert nt.download_model(url, sha256=sha(now)).card.name == "small-2"


def test_a_wrong_hash_leaves_nothing(server: FileServer, own: Path) -> None:
    server.files["/x.safetensors"] = content = weights()
    with pytest.raises(nt.ModelError, match=f"{sha(content)}, expected {'1' * 64}"):
        nt.download_model(f"{server.url}/x.safetensors", sha256="1" * 64)
    assert ours(own) == []
    nothing_left(own)


def test_a_zip_runs_nothing_without_consent(server: FileServer, own: Path) -> None:
    server.files["/p.zip"] = zipped(files(described()))
    with pytest.raises(nt.ConsentError) as caught:
        nt.download_model(f"{server.url}/p.zip")
    assert ours(own) == []
    model = nt.download_model(
        f"{server.url}/p.zip", consent=dict.fromkeys(caught.value.programs, True)
    )
    assert len(server.asked) == 1, "what was downloaded was kept"
    assert model.card.name == "two-edges"
    assert ours(own) == ["two-edges"]
    nothing_left(own)
    result = nt.segment(np.zeros((32, 32), np.float32), "two-edges", output="probabilities")
    assert np.asarray(result).shape == (2, 32, 32)


@pytest.fixture
def shark(server: FileServer) -> dict[str, bytes]:
    content = files(described())
    server.files |= {f"/artifacts/affable-shark/files/{k}": v for k, v in content.items()}
    server.files["/artifacts/affable-shark/files/readme.md"] = b"not needed"
    return content


def allowed(content: dict[str, bytes]) -> dict[str, bool]:
    return {sha(content["net.py"]): True}


def test_an_id_is_resolved_and_its_files_are_checked(
    server: FileServer, own: Path, shark: dict[str, bytes]
) -> None:
    server.breaks = {"/artifacts/affable-shark/files/w.pt": [200]}
    model = nt.download_model("affable-shark", consent=allowed(shark))
    named = {path.rpartition("/")[2] for path, _ in server.asked}
    assert named == set(shark)
    assert model.card.origin["url"] == "affable-shark"
    assert model.card.origin["sha256"] == sha(shark["rdf.yaml"])
    assert model.card.origin["files"]["in.npy"] == sha(shark["in.npy"])
    nothing_left(own)
    assert nt.download_model("affable-shark").card.name == model.card.name
    server.files["/artifacts/affable-shark/files/in.npy"] += b"!"
    with pytest.raises(nt.ModelError, match="affable-shark has changed"):
        nt.download_model("affable-shark")
    server.files["/artifacts/affable-shark/files/w.pt"] = b"others"
    with pytest.raises(nt.ModelError, match=f"expected {sha(shark['w.pt'])}"):
        nt.download_model("affable-shark")
    assert ours(own) == [model.card.name]


def test_the_map_of_ids_stands_in(server: FileServer, own: Path, shark: dict[str, bytes]) -> None:
    place = f"{server.url}/artifacts/affable-shark/files/rdf.yaml"
    entry = {"source": place, "sha256": sha(shark["rdf.yaml"])}
    server.files["/id_map.json"] = json.dumps({"kind-crab": entry}).encode()
    model = nt.download_model("kind-crab", consent=allowed(shark))
    assert model.card.origin["url"] == "kind-crab"
    with pytest.raises(nt.ModelError, match="404"):
        nt.download_model("no-such")
    with pytest.raises(nt.ModelError, match=f"expected {'2' * 64}"):
        nt.download_model("kind-crab", sha256="2" * 64)


def test_files_outside_a_package_are_not_written(
    server: FileServer, own: Path, shark: dict[str, bytes]
) -> None:
    import yaml

    text = yaml.safe_load(shark["rdf.yaml"])
    text["inputs"][0]["test_tensor"]["source"] = "../../../../evil.npy"
    server.files["/artifacts/affable-shark/files/rdf.yaml"] = yaml.safe_dump(text).encode()
    with pytest.raises(nt.ModelError, match="outside the package"):
        nt.download_model("affable-shark")
    assert not list(own.parent.rglob("evil.npy"))


def test_without_a_connection_a_person_learns_what_to_do(own: Path, tmp_path: Path) -> None:
    with file_server({}) as server:
        url = f"{server.url}/m/x.safetensors"
    with pytest.raises(nt.ModelError, match="cannot be reached") as caught:
        nt.download_model(url)
    text = str(caught.value)
    command = text.partition("import it with: napari-tincture ")[2]
    place = Path(command.split()[-1])
    assert f"put it at {place}" in text
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(weights())
    done = ask(*command.split())
    assert done.exit_code == 0, done.stderr
    assert ours(own) == ["x"]
    # What lies where it would have been put is taken by the first command, too, and noted.
    place.parent.mkdir(parents=True)
    place.write_bytes(weights())
    assert nt.download_model(url).card.origin["url"] == url


def test_an_id_without_a_connection(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with file_server({}) as server:
        for name, place in IDS.items():
            monkeypatch.setitem(module.BIOIMAGE_IO, name, server.url + place)
    with pytest.raises(
        nt.ModelError, match=r"as a \.zip from https://bioimage\.io/#/artifacts/a-b"
    ):
        nt.download_model("a-b")


def test_on_the_command_line(server: FileServer, own: Path, tmp_path: Path) -> None:
    server.files["/x.safetensors"] = content = weights()
    url = f"{server.url}/x.safetensors"
    wrong = ask("models", "import", url, "--sha256", "0" * 64)
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (1, 1)
    done = ask("models", "import", url, "--sha256", sha(content), "--name", "mine")
    assert done.exit_code == 0, done.stderr
    assert f"SHA-256 {sha(content)} of {url}" in done.stdout
    assert "already" in ask("models", "import", url).stdout
    assert url in ask("models", "show", "mine").stdout
    assert ask("models", "rename", "mine", "yours").exit_code == 0
    assert ours(own) == ["yours"]
    refused = ask("models", "rename", "nuclei", "other")
    assert "only these are renamed" in refused.stderr

    local = tmp_path / "local.safetensors"
    local.write_bytes(content)
    assert ask("models", "import", str(local), "--sha256", "0" * 64).exit_code == 1
    assert ask("models", "import", str(local), "--sha256", sha(content)).exit_code == 0
    assert ours(own) == ["local", "yours"]
    strange = ask("models", "import", "nothing.here")
    assert "expected" in strange.stderr


def test_a_checkpoint_is_called_after_its_folder(server: FileServer, own: Path) -> None:
    data = Path(__file__).parents[1] / "data" / "cyclegan_tiny_resnet9"
    file = next(path for path in sorted(data.iterdir()) if "G_A" in path.name)
    server.files[f"/horse2zebra/{file.name}"] = file.read_bytes()
    with warnings.catch_warnings():
        model = nt.download_model(f"{server.url}/horse2zebra/{file.name}", pixel_size=0.5)
    assert (model.card.name, model.card.pixel_size) == ("horse2zebra", 0.5)
    assert model.card.origin["sha256"] == sha(file.read_bytes())
