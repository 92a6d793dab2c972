"""Seeing every operator that a network calls."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A mode that torch does not hide from its compiler.

    To hide it, torch imports that compiler at the first call, which takes seconds, and goes
    through it at every other. Networks under a mode are not compiled in any case.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
