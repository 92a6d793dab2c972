"""Seeing every operator that a network calls."""

from __future__ import annotations

import sys
from types import MethodType
from typing import Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A mode that torch hides from its compiler only where that is in use.

    To hide a mode, torch imports its compiler at the first call, which takes seconds.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __enter__(self) -> Self:
        if "torch._dynamo" in sys.modules and "__torch_dispatch__" not in vars(self):
            hidden = torch.compiler.disable(type(self).__torch_dispatch__)
            vars(self)["__torch_dispatch__"] = MethodType(hidden, self)
        super().__enter__()
        return self
