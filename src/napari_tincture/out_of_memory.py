"""Telling want of memory from other failures, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class OutOfMemory(Exception):
    """The device's memory did not suffice for a batch; the batch may be halved."""


@contextmanager
def out_of_memory() -> Iterator[None]:
    """Turn what torch raises for want of memory, on any device, into `OutOfMemory`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if _lacks_memory(error):
            raise OutOfMemory(str(error)) from error
        raise


def _lacks_memory(error: Exception) -> bool:
    import torch

    # The CPU allocator, oneDNN, cuDNN and cuBLAS have no exception of their own.
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        ("alloc" in text and ("memory" in text or "status_alloc_failed" in text))
        or "could not create a primitive" in text
        or "could not create a memory object" in text
    )
