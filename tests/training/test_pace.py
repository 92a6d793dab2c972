from __future__ import annotations

from napari_tincture.training.pace import Pace


def test_the_latest_steps_count_and_pauses_do_not() -> None:
    times = iter([0.0, 9.0, 100.0, 101.0, 500.0, 503.0])
    pace = Pace(2, lambda: next(times))
    assert pace.seconds(10) is None
    pace.begin()
    pace.end()
    assert pace.seconds(10) == 90.0
    for _ in range(2):
        pace.begin()
        pace.end()
    assert pace.seconds(10) == 20.0
