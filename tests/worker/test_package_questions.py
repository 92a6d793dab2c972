from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packages import SOURCE, described, files, lay, sha

import napari_tincture as nt
from napari_tincture.models import consent
from napari_tincture.models.shipped import VARIABLE, library_folder
from napari_tincture.worker.errors import describe_error, rebuild_error
from napari_tincture.worker.questions import KNOWN
from napari_tincture.worker.wire import Message

CODE = sha(SOURCE.encode())


@pytest.fixture(autouse=True)
def _nothing_agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "library"))
    monkeypatch.setattr(consent, "_GIVEN", {})


def wanted(path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "path": str(path), "consent": [], "weights": "auto", "output": "", "task": None, "name": "",
        "pixel_size": None, "on_mismatch": "error", **changes,
    }  # fmt: skip


def test_only_what_is_ticked_is_run_whatever_was_agreed_to_before(tmp_path: Path) -> None:
    path = lay(tmp_path / "p", files(described()))
    told = KNOWN["inspect_package"]({"path": str(path)})
    assert told["programs"] == [
        {"file": "net.py", "sha256": CODE, "what": "Python code", "text": SOURCE}
    ]
    assert told["weights"] == [{"kind": "pytorch_state_dict", "lacking": "", "runs": CODE}]
    assert (told["task"], told["tested"]) == ("segment", True)
    consent.give_consent({CODE: True})
    with pytest.raises(nt.ConsentError, match=CODE) as caught:
        KNOWN["import_package"](wanted(path))
    error = rebuild_error(Message("answer", describe_error(caught.value)))
    assert isinstance(error, nt.ConsentError)
    assert "tick 'Run this code'" in error.panel
    assert CODE not in error.panel
    assert not library_folder().exists()
    made = KNOWN["import_package"](wanted(path, consent=[CODE], task="stain", pixel_size=0.5))
    assert made == {"name": "two-edges", "task": "stain"}
    assert nt.load_model("two-edges").card.pixel_size == 0.5
    assert consent.has_consent(CODE)
