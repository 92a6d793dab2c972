"""Batches prepared in a thread while the networks learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from napari_tincture.ahead import Ahead

B = TypeVar("B")


@contextmanager
def prefetched(
    batch_of: Callable[[int], B], steps: range, depth: int = 2
) -> Iterator[Callable[[int], B]]:
    """The same batches, up to `depth` + 1 of them prepared before they are asked for.

    Parameters
    ----------
    batch_of
        Gives the batch of a step; it must depend on the step's number only, and is called in a
        thread that ends with the block. What it raises comes out where the batch is asked for.
    steps
        In the order in which they will be asked for; the block may end before the last.

    Yields
    ------
    callable
        Gives the batch of a step.
    """
    with Ahead(batch_of, steps, "tincture-batches", depth) as ahead:
        coming = iter(ahead)

        def next_batch(step: int) -> B:
            number, batch = next(coming)
            if number != step:
                raise ValueError(f"Asked for step {step} where {number} was announced.")
            return batch

        yield next_batch
