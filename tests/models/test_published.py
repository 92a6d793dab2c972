from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.published import as_state_dict, read_checkpoint, read_state_dicts


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    torch.save({"weight": torch.zeros(1), "trap": Trap(trap)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match="never run"):
        read_checkpoint(tmp_path / "net.pth")
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 cut off"])
def test_damaged_checkpoints_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.pth"):
        read_checkpoint(tmp_path / "net.pth")


def test_only_bare_state_dicts_are_taken() -> None:
    with pytest.raises(ModelError, match="expected a state dict"):
        as_state_dict([1], "x")
    with pytest.raises(ModelError, match="'epoch'"):
        as_state_dict({"epoch": 3}, "x")
    assert list(as_state_dict({"module.a": torch.zeros(1)}, "x")) == ["a"]


def test_files_of_several_state_dicts_are_read_by_name(tmp_path: Path) -> None:
    weights = {"module.a": torch.ones(2)}
    torch.save({"gen": weights, "dis": weights}, tmp_path / "all.pt")
    found = read_state_dicts(tmp_path / "all.pt")
    assert {name: list(part) for name, part in found.items()} == {"gen": ["a"], "dis": ["a"]}
    with pytest.raises(ModelError, match=r"all\.pt is no bare state dict"):
        read_checkpoint(tmp_path / "all.pt")
    torch.save({"gen": weights, "epoch": 3}, tmp_path / "odd.pt")
    with pytest.raises(ModelError, match=r"odd\.pt\['epoch'\] holds a int"):
        read_state_dicts(tmp_path / "odd.pt")
    torch.save([weights], tmp_path / "list.pt")
    with pytest.raises(ModelError, match="holds a list, expected a dict of state dicts"):
        read_state_dicts(tmp_path / "list.pt")
