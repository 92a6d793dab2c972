"""Statistics of a plane on the workers of a `distributed` cluster."""

from __future__ import annotations

from typing import Any

from napari_tincture.io.cluster_queue import TaskQueue
from napari_tincture.metrics.stream import Survey, Tally, survey
from napari_tincture.progress import CancelToken, Progress

PIECES = 4
"""Parts of a plane per worker, so that none waits long for the others."""


def spread(plan: Survey, client: Any, progress: Progress, cancel: CancelToken) -> Tally:
    """As `survey`, by the workers of a cluster, each of some rows of areas.

    Sums are merged in the order of the rows, whoever took them: the figures do not depend on it.

    Raises
    ------
    Cancelled
        If `cancel` was raised.
    WorkerError
        If a part ended several workers one after the other.
    """
    import cloudpickle

    call = (client.scatter(cloudpickle.dumps(plan)),)
    queue = TaskQueue(client, call, cancel)
    rows = len(plan.edges()[0]) - 1
    step = max(1, rows // (PIECES * queue.workers))
    found: dict[int, Tally] = {}
    done = 0
    progress(0, rows)
    for first in range(0, rows, step):
        queue.put(_part, (first, min(first + step, rows)))
    for (first, last), tally in queue:
        found[first] = tally
        done += last - first
        progress(done, rows)
    total = Tally(done=rows)
    for first in sorted(found):
        total.join(found[first])
    return total


def _part(plan: bytes, rows: tuple[int, int]) -> Tally:
    import cloudpickle

    unpacked: Survey = cloudpickle.loads(plan)
    first, last = rows
    return survey(unpacked, lambda *_: None, CancelToken(), Tally(done=first), stop=last)
