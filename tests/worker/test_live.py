"""Live layers in the worker: beside jobs, through its deaths, until they are closed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tincture.errors import WorkerError
from napari_tincture.raster import Raster
from napari_tincture.worker.client import WorkerClient
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.live import LiveDesk, PausingToken
from napari_tincture.worker.live_client import LiveLink
from napari_tincture.worker.settings import JobSettings

PATIENCE = 60.0
COMMAND = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
IMAGE = np.arange(2000 * 1500, dtype=np.float32).reshape(2000, 1500)
ALL = ((0, 2000), (0, 1500))


@pytest.fixture(scope="module")
def shared_client() -> Iterator[WorkerClient]:
    own = WorkerClient(COMMAND)
    yield own
    own.close()


@pytest.fixture
def client() -> Iterator[WorkerClient]:
    own = WorkerClient(COMMAND)
    yield own
    own.close()


def settings(task: str) -> JobSettings:
    return JobSettings(task=task, model="fake")


def image() -> Raster:
    return Raster.from_array(IMAGE, "yx", name="ramp")


class News:
    """Hears of a live layer and of jobs, and lets a test wait for what they become."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def __call__(self, *_: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, condition: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE)


def open_live(client: WorkerClient, news: News, task: str = "double") -> LiveLink:
    live = client.open_live(settings(task), [image()], news)
    live.changed = news
    news.wait(lambda: live.pyramid is not None or live.error is not None)
    return live


def look(live: LiveLink, news: News, bounds: Any = ALL) -> np.ndarray:
    pyramid = live.pyramid
    assert pyramid is not None
    pyramid.look((), bounds, 0)
    news.wait(lambda: not pyramid.status.queued)
    y, x = (slice(*edges) for edges in bounds)
    return pyramid.mosaic.read((), 0, y, x)[0]


def test_tiles_are_those_of_the_task(shared_client: WorkerClient) -> None:
    news = News()
    live = open_live(shared_client, news)
    np.testing.assert_array_equal(look(live, news), IMAGE * 2)
    assert live.attributes["axes"] == "yx"
    assert shared_client.lives == (live,)
    live.close()
    assert shared_client.lives == ()


@pytest.mark.slow
def test_tiles_come_while_a_job_runs_and_the_job_still_finishes(
    shared_client: WorkerClient,
) -> None:
    news = News()
    live = open_live(shared_client, news)
    rows = Raster.from_array(np.ones((400, 8)), "yx")
    job = shared_client.submit(settings("endless"), [rows], news)
    news.wait(lambda: job.done > 0)
    np.testing.assert_array_equal(look(live, news), IMAGE * 2)
    assert job.state is State.RUNNING
    result = job.wait(PATIENCE)
    np.testing.assert_array_equal(np.asarray(result), np.full((400, 8), 2))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_layer_outlives_the_worker(client: WorkerClient) -> None:
    news = News()
    live = open_live(client, news)
    first = look(live, news, ((0, 100), (0, 100)))
    assert client.pid is not None
    os.kill(client.pid, signal.SIGKILL)
    found = look(live, news)
    np.testing.assert_array_equal(found, IMAGE * 2)
    np.testing.assert_array_equal(first, found[:100, :100])
    assert live.error is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_worker_that_dies_again_and_again_is_given_up() -> None:
    news = News()
    with closing(WorkerClient(COMMAND, on_ready=news)) as client:
        check_that_it_is_given_up(client, news)


def check_that_it_is_given_up(client: WorkerClient, news: News) -> None:
    live = open_live(client, news)
    pids = set()
    while live.error is None:
        pid = client.pid
        assert pid is not None
        pids.add(pid)
        os.kill(pid, signal.SIGKILL)
        news.wait(lambda pid=pid: live.error is not None or client.pid not in (None, pid))
    assert isinstance(live.error, WorkerError)
    assert "signal 9" in str(live.error)
    assert len(pids) == 2
    live.close()
    # Whoever comes next has a worker again.
    np.testing.assert_array_equal(look(open_live(client, news), news), IMAGE * 2)


def test_a_task_that_refuses_refuses_the_layer(shared_client: WorkerClient) -> None:
    live = open_live(shared_client, News(), "refuse")
    assert "Three channels were expected" in str(live.error)
    assert live.pyramid is None


def test_nothing_is_heard_of_a_closed_layer(shared_client: WorkerClient) -> None:
    news = News()
    live = open_live(shared_client, news)
    pyramid = live.pyramid
    assert pyramid is not None
    pyramid.look((), ALL, 0)
    live.close()
    job: Job = shared_client.submit(settings("double"), [image()])
    job.wait(PATIENCE)
    other = open_live(shared_client, news)
    np.testing.assert_array_equal(look(other, news), IMAGE * 2)


class Silent:
    """A link that nobody listens to."""

    def send(self, message: object) -> None:
        pass


def test_a_cancelled_job_does_not_wait_for_live_tiles() -> None:
    desk = LiveDesk(Silent())  # type: ignore[arg-type]
    desk.set_busy(1, True)
    token = PausingToken(desk)
    ended: list[str] = []

    def job() -> None:
        try:
            token.check()
        except Exception as error:  # noqa: BLE001 - looked at below
            ended.append(type(error).__name__)

    thread = threading.Thread(target=job)
    thread.start()
    token.cancel()
    thread.join(PATIENCE)
    assert ended == ["Cancelled"]
    desk.set_busy(1, False)
    PausingToken(desk).check()
