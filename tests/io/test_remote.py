"""Limits for reads that stand still."""

import pytest

from napari_tincture.errors import InputError
from napari_tincture.io.remote import VARIABLE, read_timeout, storage_options


@pytest.mark.parametrize(("text", "seconds"), [(None, 60), ("", 60), ("2.5", 2.5)])
def test_the_limit_comes_from_the_environment(monkeypatch, text, seconds):
    monkeypatch.delenv(VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(VARIABLE, text)
    assert read_timeout() == seconds
    http = storage_options("https://host/a.zarr")["client_kwargs"]["timeout"]
    assert (http.total, http.sock_connect, http.sock_read) == (None, seconds, seconds)
    s3 = storage_options("s3://bucket/a.zarr")["config_kwargs"]
    assert s3 == {"connect_timeout": seconds, "read_timeout": seconds}
    assert storage_options("/folder/a.zarr") is None
    assert storage_options("memory://a.zarr") is None


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_other_limits_are_refused(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError, match=f"{VARIABLE}='{text}': expected a number of seconds"):
        read_timeout()
