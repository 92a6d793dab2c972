"""The worker from outside: results, order, cancelling, death and the end, with a real process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import psutil
import pytest

from napari_tincture.errors import Cancelled, InputError, TinctureError, WorkerError
from napari_tincture.raster import Raster
from napari_tincture.worker.client import WorkerClient
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.wire import Link

PATIENCE = 60.0
COMMAND = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


@pytest.fixture(scope="module")
def shared_client() -> Iterator[WorkerClient]:
    client = WorkerClient(COMMAND)
    yield client
    client.close()


@pytest.fixture
def client() -> Iterator[WorkerClient]:
    own = WorkerClient(COMMAND)
    yield own
    own.close()


def settings(task: str, **values: object) -> JobSettings:
    return JobSettings(task=task, model="fake", **values)  # type: ignore[arg-type]


def image(rows: int = 40) -> Raster:
    values = np.random.default_rng(0).integers(0, 9999, (2, rows, 30), dtype=np.uint16)
    return Raster.from_array(values, "cyx", name="cells", channels=("a", "b"))


class Log:
    """Remembers what it hears, and lets a test wait for a moment."""

    def __init__(self) -> None:
        from threading import Condition

        self.heard: list[tuple[State, int]] = []
        self._changed = Condition()

    def __call__(self, job: Job) -> None:
        with self._changed:
            self.heard.append((job.state, job.done))
            self._changed.notify_all()

    def wait_for_tiles(self, count: int) -> None:
        with self._changed:
            reached = self._changed.wait_for(
                lambda: any(done >= count for _, done in self.heard), PATIENCE
            )
        assert reached, f"never saw {count} tiles: {self.heard}"


@pytest.mark.parametrize("task", ["double", "rows"])
def test_the_result_is_what_the_task_computes(shared_client: WorkerClient, task: str) -> None:
    source = image()
    result = shared_client.submit(settings(task), [source]).wait(PATIENCE)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(source) * 2)
    assert result.axes == "cyx"
    assert result.channels == ("a", "b")
    assert result.placement == source.placement


class Recorder:
    """An array-like that remembers which keys were asked for."""

    shape, dtype, ndim = (100, 90), np.dtype(np.int16), 2

    def __init__(self) -> None:
        self.keys: list[tuple[slice, ...]] = []

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        self.keys.append(key)
        return np.zeros(self.shape, self.dtype)[key]


def test_only_the_asked_window_of_a_lazy_source_is_read(shared_client: WorkerClient) -> None:
    source = Recorder()
    region = {"y": (60, 90), "x": (10, 20)}
    job = shared_client.submit(settings("double", region=region), [Raster.from_array(source, "yx")])
    assert job.wait(PATIENCE).shape == (30, 10)
    rows, columns = zip(*source.keys, strict=True)
    assert {(s.start, s.stop) for s in rows} == {(60, 90)}
    assert {(s.start, s.stop) for s in columns} == {(10, 20)}


def test_a_source_that_cannot_be_read_fails_its_job_alone(shared_client: WorkerClient) -> None:
    def broken(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("the disk was unplugged")

    data = da.zeros((20, 20)).map_blocks(broken, dtype=float, meta=np.zeros((0, 0)))
    bad = shared_client.submit(settings("double"), [Raster.from_array(data, "yx", name="far")])
    good = shared_client.submit(settings("double"), [image()])
    with pytest.raises(InputError, match=r"'far'.*the disk was unplugged"):
        bad.wait(PATIENCE)
    assert good.wait(PATIENCE).shape == (2, 40, 30)


def test_errors_arrive_with_their_class_and_traceback(shared_client: WorkerClient) -> None:
    refused = shared_client.submit(settings("refuse"), [image()])
    broken = shared_client.submit(settings("break_down"), [image()])
    unknown = shared_client.submit(settings("nothing_like_it"), [image()])
    with pytest.raises(InputError, match="choose another layer") as caught:
        refused.wait(PATIENCE)
    assert "fake_worker.py" in caught.value.__notes__[0]
    with pytest.raises(WorkerError, match="ZeroDivisionError: a mistake"):
        broken.wait(PATIENCE)
    with pytest.raises(InputError, match="no task 'nothing_like_it'"):
        unknown.wait(PATIENCE)


def test_warnings_and_progress_are_told(shared_client: WorkerClient) -> None:
    log = Log()
    job = shared_client.submit(settings("warn"), [image()], log)
    job.wait(PATIENCE)
    assert job.warnings == ["halved"]
    assert log.heard[0] == (State.QUEUED, 0)
    assert log.heard[-1][0] is State.FINISHED
    assert job.done == job.total > 0


@pytest.mark.slow
def test_jobs_run_in_order_and_a_waiting_one_can_be_dropped(client: WorkerClient) -> None:
    log = Log()
    first = client.submit(settings("endless"), [image(4000)], log)
    second, third = (client.submit(settings("double"), [image()]) for _ in range(2))
    assert client.jobs == (first, second, third)
    client.cancel(second)
    with pytest.raises(Cancelled):
        second.wait(0)
    log.wait_for_tiles(1)
    client.cancel(first)
    with pytest.raises(Cancelled):
        first.wait(PATIENCE)
    assert third.wait(PATIENCE).shape == (2, 40, 30)
    assert client.jobs == ()
    assert first.done < 4000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_killed_worker_costs_its_job_and_nothing_else(client: WorkerClient) -> None:
    killed = client.submit(settings("die"), [image()])
    waiting = client.submit(settings("double"), [image()])
    with pytest.raises(WorkerError, match=r"signal 9.*memory.*next Run starts it again"):
        killed.wait(PATIENCE)
    assert waiting.wait(PATIENCE).shape == (2, 40, 30)
    assert client.submit(settings("rows"), [image()]).wait(PATIENCE).shape == (2, 40, 30)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize(
    ("trouble", "said"),
    [(InputError("the file is gone"), "the file is gone"), (MemoryError("full"), "MemoryError")],
)
def test_a_result_that_cannot_be_taken_fails_its_job_alone(
    shared_client: WorkerClient, monkeypatch: pytest.MonkeyPatch, trouble: Exception, said: str
) -> None:
    def taken(*_: object) -> Raster:
        raise trouble

    monkeypatch.setattr(Job, "_taken", taken)
    with pytest.raises(TinctureError, match=said) as told:
        shared_client.submit(settings("double"), [image()]).wait(PATIENCE)
    assert type(told.value) is (InputError if "gone" in said else WorkerError)
    monkeypatch.undo()
    pid = shared_client.pid
    shared_client.submit(settings("double"), [image()]).wait(PATIENCE)
    assert shared_client.pid == pid


@pytest.mark.parametrize(
    "what", ["_receive_array", pytest.param("_send_array", marks=pytest.mark.slow)]
)
def test_a_message_that_finds_no_memory_costs_its_job_and_nothing_else(
    client: WorkerClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    usual, left = getattr(Link, what), [1]

    def once(*given: object) -> object:
        if left and left.pop():
            raise MemoryError("no room")
        return usual(*given)

    monkeypatch.setattr(Link, what, once)
    lost = client.submit(settings("rows"), [image()])
    kept = client.submit(settings("rows"), [image()])
    with pytest.raises(WorkerError, match="MemoryError: no room"):
        lost.wait(PATIENCE)
    assert kept.wait(PATIENCE).shape == image().shape


def test_a_worker_that_understands_nothing_any_more_is_replaced(client: WorkerClient) -> None:
    log = Log()
    lost = client.submit(settings("endless"), [image()], log)
    kept = client.submit(settings("rows"), [image()])
    log.wait_for_tiles(1)
    assert client._session is not None
    client._session.post("cancel")  # of no job
    with pytest.raises(WorkerError, match="in the middle of the job"):
        lost.wait(PATIENCE)
    assert "KeyError" in "".join(lost.error.__notes__)  # type: ignore[union-attr]
    assert kept.wait(PATIENCE).shape == image().shape


def test_a_worker_that_breaks_before_it_is_ready_says_why() -> None:
    command = (*COMMAND, "broken")
    for wrong, said in ((command, "before it was ready"), (("/nothing/here",), "nothing/here")):
        client = WorkerClient(wrong)
        with pytest.raises(WorkerError, match=said):
            client.submit(settings("rows"), [image()]).wait(PATIENCE)
        client.close()


def test_a_worker_that_dies_while_idle_is_replaced(client: WorkerClient) -> None:
    client.submit(settings("double"), [image()]).wait(PATIENCE)
    pid = client.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    job = client.submit(settings("double"), [image()])
    try:
        job.wait(PATIENCE)
    except WorkerError:  # it was sent before the death was noticed
        client.submit(settings("double"), [image()]).wait(PATIENCE)
    assert client.pid != pid


@pytest.mark.slow
def test_drawing_goes_before_the_worker(client: WorkerClient) -> None:
    client.submit(settings("double"), [image()]).wait(PATIENCE)
    assert psutil.Process(client.pid).nice() > psutil.Process().nice()


def test_a_worker_that_cannot_start_says_why() -> None:
    client = WorkerClient((sys.executable, "-c", "raise SystemExit('no such library')"))
    jobs = [client.submit(settings("double"), [image()]) for _ in range(2)]
    for job in jobs:
        with pytest.raises(WorkerError, match=r"could not be started.*no such library"):
            job.wait(PATIENCE)
    client.close()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["endless", "hang"])
def test_closing_ends_a_running_job_and_the_process(task: str) -> None:
    client = WorkerClient(COMMAND)
    log = Log()
    job = client.submit(settings(task), [image(4000)], log)
    log.wait_for_tiles(1)
    pid = client.pid
    assert pid is not None
    client.close()
    with pytest.raises(Cancelled, match="closed"):
        job.wait(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_source_is_refused(shared_client: WorkerClient) -> None:
    with pytest.raises(InputError, match="choose a layer"):
        shared_client.submit(settings("double"), [])
