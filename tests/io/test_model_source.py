"""What a person may write to name a model on the net."""

from __future__ import annotations

import pytest

from napari_tincture.errors import ModelError
from napari_tincture.io.model_source import beside, is_source, read_source

HYPHA = "https://hypha.aicell.io/bioimage-io/artifacts/affable-shark/files/rdf.yaml"
ZENODO = "https://zenodo.org/records/5764892/files/"


@pytest.mark.parametrize(
    ("text", "key", "address"),
    [
        ("affable-shark", "affable-shark", HYPHA),
        (" affable-shark/1.2", "affable-shark/1.2", f"{HYPHA}?version=1.2"),
        ("https://bioimage.io/#/artifacts/affable-shark", "affable-shark", HYPHA),
        ("https://bioimage.io/#/?id=affable-shark", "affable-shark", HYPHA),
        ("10.5281/zenodo.5764892", "10.5281/zenodo.5764892", f"{ZENODO}rdf.yaml"),
        ("10.5281/zenodo.9/5764892", "10.5281/zenodo.5764892", f"{ZENODO}rdf.yaml"),
        ("https://doi.org/10.5281/zenodo.5764892", "10.5281/zenodo.5764892", f"{ZENODO}rdf.yaml"),
        ("https://a.org/x/rdf.yaml", "https://a.org/x/rdf.yaml", "https://a.org/x/rdf.yaml"),
    ],
)
def test_packages(text: str, key: str, address: str) -> None:
    found = read_source(text)
    assert is_source(text)
    assert (found.key, found.files[0], found.package) == (key, address, True)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://a.org/m/latest_net_G_A.pth", "latest_net_G_A.pth"),
        ("https://a.org/api/records/1/files/my%20model.zip/content", "my-model.zip"),
        ("https://a.org/resolve/main/model.safetensors?download=true", "model.safetensors"),
    ],
)
def test_files(text: str, name: str) -> None:
    found = read_source(text)
    assert (found.files, found.name, found.package) == ((text,), name, False)


@pytest.mark.parametrize("text", ["nuclei", "a/b.pth", "https://a.org/", "https://a.org/x.exe", ""])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"expected"):
        read_source(text)


def test_files_beside_a_description_are_of_its_version() -> None:
    assert beside(f"{HYPHA}?version=2", "a b/w.pt") == (
        f"{HYPHA.removesuffix('rdf.yaml')}a%20b/w.pt?version=2"
    )
