from __future__ import annotations

import threading

import pytest

from napari_tincture.training.images.prefetch import prefetched


def test_batches_come_in_order_and_the_thread_ends() -> None:
    asked: list[str] = []

    def batch_of(step: int) -> int:
        asked.append(threading.current_thread().name)
        return step * step

    before = threading.active_count()
    with prefetched(batch_of, range(3, 100)) as next_batch:
        assert [next_batch(step) for step in range(3, 9)] == [9, 16, 25, 36, 49, 64]
    assert threading.active_count() == before
    assert set(asked) == {"tincture-batches"}
    assert len(asked) <= 6 + 3


def test_errors_come_out_where_the_batch_is_asked_for() -> None:
    def batch_of(step: int) -> int:
        if step == 2:
            raise OSError("gone")
        return step

    with prefetched(batch_of, range(5)) as next_batch:
        assert [next_batch(0), next_batch(1)] == [0, 1]
        with pytest.raises(OSError, match="gone"):
            next_batch(2)


def test_steps_are_asked_for_as_announced() -> None:
    with (
        prefetched(lambda step: step, range(5)) as next_batch,
        pytest.raises(ValueError, match="step 3 where 0"),
    ):
        next_batch(3)
