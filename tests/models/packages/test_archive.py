from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
import yaml
from packages import described, files, lay

from napari_tincture.errors import ModelError
from napari_tincture.models.packages._archive import Archive
from napari_tincture.models.packages.load import inspect


def zipped(path: Path, *names: str, mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"type: model")
    return path


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_names_outside_the_package_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="outside the package"):
        Archive(zipped(tmp_path / "p.zip", "rdf.yaml", name))
    archive = Archive(zipped(tmp_path / "q.zip", "rdf.yaml"))
    with pytest.raises(ModelError, match=r"outside the package|on the net"):
        archive.read(name)


def test_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="link"):
        Archive(zipped(tmp_path / "p.zip", "rdf.yaml", "w.pt", mode=stat.S_IFLNK))
    folder = lay(tmp_path / "p", files(described()))
    (tmp_path / "secret").write_text("x")
    (folder / "w.pt").unlink()
    (folder / "w.pt").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="leads out"):
        Archive(folder)


def test_a_package_packed_with_its_folder_is_read(tmp_path: Path) -> None:
    archive = Archive(zipped(tmp_path / "p.zip", "model/bioimageio.yaml", "model/w.pt"))
    assert archive.describe() == {"type": "model"}
    assert archive.read("./w.pt") == b"type: model"
    with pytest.raises(ModelError, match=r"lacks the file v\.pt"):
        archive.read("v.pt")
    with pytest.raises(ModelError, match="on the net"):
        archive.read("https://example.org/w.pt")
    with pytest.raises(ModelError, match="damaged or was changed"):
        archive.read("w.pt", "0" * 64)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "no YAML"),
        (b"- 1", "no mapping"),
        (b"!!python/object/apply:os.system ['true']", "no YAML"),
        (yaml.safe_dump({"type": "dataset"}).encode(), "'dataset', expected a model"),
        (yaml.safe_dump(described(format_version="0.3.2")).encode(), "version 0.3.2"),
        (yaml.safe_dump(described(weights=None)).encode(), "wrong kind"),
        (yaml.safe_dump({"format_version": "0.5.4"}).encode(), r"lacks \.weights"),
    ],
)
def test_what_is_no_description_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        inspect(lay(tmp_path / "p", {"rdf.yaml": content}))


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no package"):
        Archive(tmp_path / "none.zip")
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(ModelError, match="no model package"):
        Archive(tmp_path / "x.zip")
    with pytest.raises(ModelError, match="holds none of"):
        Archive(zipped(tmp_path / "p.zip", "w.pt"))
