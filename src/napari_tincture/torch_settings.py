"""Settings of torch that are those of the whole process, held while work that needs them runs.

Several threads may hold a setting at once, nested or side by side, and end in any order: what was
found before the first of them is restored after the last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar

Value = TypeVar("Value")
Products = Literal["ieee", "tf32"]


class Held(Generic[Value]):
    """A setting of the process.

    Parameters
    ----------
    read
        Gives what it is, for `restore`.
    write
        Sets it.
    restore
        Sets it as `read` found it.
    """

    def __init__(
        self, read: Callable[[], Any], write: Callable[[Value], None],
        restore: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self._read, self._write, self._restore = read, write, restore
        self._lock = threading.Lock()
        self._wanted: dict[object, Value] = {}
        self._found: Any = None

    @contextmanager
    def __call__(self, value: Value) -> Iterator[None]:
        """Hold a value; of threads that want different ones, the last to begin has its way."""
        mine = object()
        with self._lock:
            if not self._wanted:
                self._found = self._read()
            self._wanted[mine] = value
            self._write(value)
        try:
            yield
        finally:
            with self._lock:
                del self._wanted[mine]
                if self._wanted:
                    self._write(next(reversed(self._wanted.values())))
                else:
                    self._restore(self._found)


def float32_products(kind: Products) -> AbstractContextManager[None]:
    """Within the block, float32 products use "ieee" float32 or, on CUDA, the faster "tf32"."""
    return _PRODUCTS(kind)


def full_precision() -> AbstractContextManager[None]:
    """Within the block, float32 products and convolutions are float32: no TF32, no bfloat16.

    torch lets cuDNN convolve in TF32 unless told otherwise. The settings found are restored,
    whichever of torch's two interfaces made them.
    """
    return _PRODUCTS("ieee")


def thread_count(count: int) -> AbstractContextManager[None]:
    """Let torch use `count` threads within an operation, and as many as before afterwards."""
    return _THREADS(count)


_Switch = tuple[Any, str, dict[str, Any]]


def switches() -> list[Any]:
    """All settings that decide on the precision of float32 products, as they are."""
    return [_read(owner, name) for owner, name, _ in _switches()]


def _switches() -> list[_Switch]:
    return _old_switches() + _new_switches()


def _choose(kind: Products) -> None:
    for owner, name, values in _switches():
        _write(owner, name, values[kind])


def _restore(found: list[Any]) -> None:
    for (owner, name, _), value in zip(_switches(), found, strict=True):
        if value is not None:
            _write(owner, name, value)


def _old_switches() -> list[_Switch]:
    import torch

    return [
        (torch, "float32_matmul_precision", {"ieee": "highest", "tf32": "high"}),
        (torch.backends.cudnn, "allow_tf32", {"ieee": False, "tf32": True}),
    ]


def _new_switches() -> list[_Switch]:
    """torch ≥ 2.9 has one switch per library and operation."""
    import torch

    if not hasattr(torch.backends, "fp32_precision"):
        return []
    cuda = ("cuda.matmul", "cudnn.conv", "cudnn.rnn")
    cpu = ("mkldnn.conv", "mkldnn.matmul", "mkldnn.rnn")
    return [
        (attrgetter(name)(torch.backends), "fp32_precision", {"ieee": "ieee", "tf32": "tf32"})
        for name in cuda
    ] + [
        (attrgetter(name)(torch.backends), "fp32_precision", {"ieee": "ieee", "tf32": "ieee"})
        for name in cpu
    ]


def _read(owner: Any, name: str) -> Any:
    try:
        if name == "float32_matmul_precision":
            return owner.get_float32_matmul_precision()
        return getattr(owner, name)
    except RuntimeError:
        # torch refuses to read an old switch once a new one was set otherwise; that one counts.
        return None


def _write(owner: Any, name: str, value: Any) -> None:
    if name == "float32_matmul_precision":
        owner.set_float32_matmul_precision(value)
    else:
        setattr(owner, name, value)


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


_PRODUCTS: Held[Products] = Held(switches, _choose, _restore)
_THREADS: Held[int] = Held(_threads, _use_threads, _use_threads)
