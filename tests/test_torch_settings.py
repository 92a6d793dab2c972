"""Settings of the process are what they were before, however threads overlap."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import torch

from napari_tincture.torch_settings import (
    Held,
    float32_products,
    full_precision,
    switches,
    thread_count,
)


def test_full_precision_turns_everything_off_and_restores_it() -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        before = switches()
        with full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert switches() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_full_precision_restores_after_an_error() -> None:
    before = switches()
    with pytest.raises(ZeroDivisionError), full_precision():
        _ = 1 / 0
    assert switches() == before


def test_full_precision_survives_both_of_torchs_interfaces_in_use() -> None:
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("this torch has one interface")
    found = torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    try:
        before = switches()
        assert None in before
        with full_precision():
            pass
        assert switches() == before
    finally:
        torch.backends.cudnn.conv.fp32_precision = found


def test_threads_that_overlap_leave_the_settings_as_they_were() -> None:
    before, entered, left = switches(), threading.Event(), threading.Event()

    def first() -> None:
        with float32_products("ieee"):
            entered.set()
            assert left.wait(30)

    other = threading.Thread(target=first)
    with full_precision():
        other.start()
        assert entered.wait(30)
    # The second still needs what the first found no longer.
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.allow_tf32
    left.set()
    other.join()
    assert switches() == before


def test_values_nest_and_the_last_to_begin_has_its_way() -> None:
    now = [7]
    put = partial(now.__setitem__, 0)
    held: Held[int] = Held(lambda: now[0], put, put)
    with held(1):
        with held(2):
            assert now == [2]
            with held(1):
                assert now == [1]
            assert now == [2]
        assert now == [1]
    assert now == [7]
    one, two = held(3), held(4)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert now == [4]
    two.__exit__(None, None, None)
    assert now == [7]


def test_the_number_of_threads_is_held_too() -> None:
    before = torch.get_num_threads()
    with thread_count(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
