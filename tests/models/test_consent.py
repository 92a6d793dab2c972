from __future__ import annotations

from pathlib import Path

import pytest

from napari_tincture.errors import ConsentError, ModelError
from napari_tincture.models import consent
from napari_tincture.models.consent import Program, give_consent, has_consent, sha256_of, verified
from napari_tincture.models.shipped import VARIABLE


@pytest.fixture(autouse=True)
def _library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(consent, "_GIVEN", {})


def test_nothing_is_run_before_a_person_agreed_nor_anything_else() -> None:
    program = Program("net.py", sha256_of(b"code"), "Python code")
    with pytest.raises(ConsentError, match=f"net.py.*{program.sha256}.*consent=") as caught:
        verified(b"code", program)
    assert set(caught.value.programs) == {program.sha256}
    give_consent({program.sha256.upper(): True})
    assert verified(b"code", program) == b"code"
    with pytest.raises(ModelError, match="it was changed"):
        verified(b"other", program)


def test_consent_is_remembered_on_demand_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program("net.py", sha256_of(b"code"), "Python code")
    consent.remember((program,))
    monkeypatch.setattr(consent, "_GIVEN", {})
    assert has_consent(program.sha256)
    give_consent({program.sha256: False})
    assert not has_consent(program.sha256)
    consent.consents_file().write_text("damaged")
    monkeypatch.setattr(consent, "_GIVEN", {})
    assert not has_consent(program.sha256)


def test_what_is_no_consent_is_refused() -> None:
    with pytest.raises(ModelError, match="64 hexadecimal"):
        give_consent({"net.py": True})
    with pytest.raises(ModelError, match="True or False"):
        give_consent({sha256_of(b""): "yes"})  # type: ignore[dict-item]
