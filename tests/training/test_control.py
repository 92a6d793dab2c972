from __future__ import annotations

import threading

import pytest

from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken
from napari_tincture.training.control import Control


@pytest.mark.parametrize("end", ["resume", "stop", "cancel"])
def test_a_paused_training_waits_until_it_is_told(end: str) -> None:
    control, token = Control(), CancelToken()
    control.wait(token)
    control.pause()
    assert control.paused
    waiting = threading.Thread(target=control.wait, args=(token,))
    waiting.start()
    assert waiting.is_alive()
    (token.cancel if end == "cancel" else getattr(control, end))()
    waiting.join()
    assert control.stopped == (end == "stop")
    assert control.paused == (end == "cancel")


def test_a_suspended_training_ends_well_where_its_images_are_gone() -> None:
    control = Control()
    with pytest.raises(Cancelled, match="gone"), control.steps():
        raise Cancelled("gone")
    control.check()
    control.pause()
    control.suspend()
    control.wait()
    with control.steps():
        raise Cancelled("gone")
    assert control.stopped
    with pytest.raises(Cancelled, match="resume it"):
        control.check()
