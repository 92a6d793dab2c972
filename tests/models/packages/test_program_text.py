from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from packages import described, files, lay, sha

from napari_tincture.errors import ModelError
from napari_tincture.models.consent import Program
from napari_tincture.models.packages import program_text
from napari_tincture.models.packages.program_text import program_text as text_of


def packed(folder: Path, content: bytes, what: str) -> tuple[Path, Program]:
    lay(folder, {**files(described()), "program": content})
    return folder, Program("program", sha(content), what)


def test_of_torchscript_its_code_is_shown(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/code/__torch__/net.py", "def forward(self): ...")
        archive.writestr("net/data/0", b"\x00weights")
    text = text_of(*packed(tmp_path, buffer.getvalue(), "TorchScript"))
    assert text == "# net/code/__torch__/net.py\ndef forward(self): ..."
    assert "cannot be read" in text_of(*packed(tmp_path, b"no zip", "TorchScript"))


def test_a_text_is_cut_in_the_open_and_never_of_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_text, "LONGEST", 4)
    path, program = packed(tmp_path, "näheres".encode(), "Python code")
    assert text_of(path, program).startswith("nähe\n… 3 more characters")
    (path / "program").write_bytes(b"other")
    with pytest.raises(ModelError, match="changed"):
        text_of(path, program)
