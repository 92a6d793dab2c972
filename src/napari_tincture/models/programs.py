"""Networks that are programs of others: TorchScript, ONNX, or Python code of a model package.

What is run is kept as bytes in the state dict, so that a weight file holds it whole, and is
loaded from these bytes on first use: the hash is compared and consent looked for right before.
TorchScript is a program like Python code: its interpreter can read and write files. ONNX is a
list of operations on tensors, which onnxruntime carries out, and needs no consent.
"""

from __future__ import annotations

import copy
import io
import re
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit._fuser import optimized_execution
from torch.utils._python_dispatch import _disable_current_modes

from napari_tincture.errors import ConsentError, ModelError
from napari_tincture.models.consent import Program, verified

OTHER_FILES = re.compile(rb"\x0a(?:\x08|\x88\x80*\x00)location")
"""The field of an ONNX tensor that names another file, as it is encoded: key 1, 8 letters."""
INSTALL = 'pip install "napari-tincture[onnx]"'


class ProgramCall(nn.Module):
    """The bytes of a program, loaded on first use.

    Parameters
    ----------
    size
        Bytes of the program; its state dict holds them as `program`, uint8.
    sha256
        Of these bytes.
    file
        Name of the file that held them.
    dtype
        What the program takes.
    """

    program: Tensor
    what = ""

    def __init__(self, size: int, sha256: str, file: str, dtype: str = "float32") -> None:
        super().__init__()
        self.source, self.dtype = Program(file, sha256, self.what), dtype
        self.register_buffer("program", torch.zeros(size, dtype=torch.uint8))
        self._loaded: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        # What was loaded cannot be sent; its bytes can.
        return {**self.__dict__, "_loaded": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> ProgramCall:
        # Bytes and what was loaded of them never change: copies share them, and never hold the
        # tensors that a copy for another device or without values is given instead.
        copied = copy.copy(self)
        copied.__dict__ = {**self.__dict__, "_buffers": dict(self._buffers)}
        memo[id(self)] = copied
        return copied

    def loaded(self, device: torch.device) -> Any:
        """The program, ready to run on a device.

        Raises
        ------
        ModelError
            If its bytes are not those that were announced, or it cannot be loaded.
        """
        found = self._loaded.get(str(device))
        if found is None:
            content = self.program.detach().cpu().numpy().tobytes()
            found = self._loaded[str(device)] = self.load(content, device)
        return found

    def load(self, content: bytes, device: torch.device) -> Any:
        """Make the program of its bytes."""
        raise NotImplementedError


class TorchScriptCall(ProgramCall):
    """A TorchScript module; loading and running it needs consent."""

    what = "TorchScript, a program"

    def forward(self, x: Tensor) -> Any:
        """Run it on an image of a legal size, in the type that it takes."""
        module = self.loaded(x.device)
        # Unoptimised, its calls reach the dispatcher one by one, where tiling looks at them.
        with optimized_execution(False):
            return module(x.to(getattr(torch, self.dtype)))

    def load(self, content: bytes, device: torch.device) -> Any:
        """Load the module of bytes that were agreed to."""
        content = verified(content, self.source)
        try:
            # Whatever watches or bends the network's calls has no part in loading.
            with warnings.catch_warnings(), _disable_current_modes(), torch.inference_mode(False):
                # torch recommends other formats; packages have this one.
                warnings.simplefilter("ignore", DeprecationWarning)
                place = "cpu" if device.type == "meta" else device
                module = torch.jit.load(io.BytesIO(content), map_location=place).eval()
                if device.type == "meta":
                    _to_meta(module)
                return module
        except (RuntimeError, ValueError, EOFError) as error:
            raise ModelError(
                f"{self.source.file} cannot be loaded as TorchScript: {error}. Get it again, or "
                "update torch."
            ) from error


def _to_meta(module: Any) -> None:
    """Leave a TorchScript module shapes alone, which neither loading nor moving it there can do."""
    for part in module.modules():
        for name, value in [*part._parameters.items(), *part._buffers.items()]:
            if value is not None:
                part._c.setattr(name, value.detach().to("meta"))


class OnnxCall(ProgramCall):
    """An ONNX graph, run by onnxruntime."""

    what = "ONNX"

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run it on an image of a legal size, in the type that it takes."""
        session = self.loaded(x.device)
        taken = session.get_inputs()
        if len(taken) != 1:
            raise ModelError(f"{self.source.file} takes {len(taken)} tensors, expected one.")
        values = x.detach().cpu().numpy().astype(_onnx_type(taken[0].type, self.source.file))
        try:
            results = session.run(None, {taken[0].name: np.ascontiguousarray(values)})
        except Exception as error:  # onnxruntime's errors have no class of their own
            raise ModelError(f"{self.source.file} failed in onnxruntime: {error}.") from error
        return tuple(torch.from_numpy(np.asarray(r, np.float32)).to(x.device) for r in results)

    def load(self, content: bytes, device: torch.device) -> Any:
        """Make a session; operations that onnxruntime does not have are refused by it."""
        if OTHER_FILES.search(content):
            # onnxruntime would read them from wherever the graph says.
            raise ModelError(
                f"{self.source.file} takes weights from other files, which is not supported. Ask "
                "who made it for one file."
            )
        runtime = onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        there = runtime.get_available_providers()
        providers = [name for name in (*wanted, "CPUExecutionProvider") if name in there]
        try:
            return runtime.InferenceSession(content, options, providers=providers)
        except Exception as error:  # onnxruntime's errors have no class of their own
            raise ModelError(
                f"{self.source.file} cannot be loaded as ONNX: {error}. Operations of other "
                "libraries are not supported."
            ) from error


def onnxruntime() -> Any:
    """The library that runs ONNX.

    Raises
    ------
    ModelError
        If it is not installed; the message says how to.
    """
    try:
        import onnxruntime as runtime
    except ImportError as error:
        raise ModelError(f"Weights in ONNX need the package onnxruntime: {INSTALL}.") from error
    return runtime


def _onnx_type(name: str, file: str) -> Any:
    known = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
    plain = name.removeprefix("tensor(").removesuffix(")")
    found = known.get(name, plain)
    try:
        return np.dtype(found)
    except TypeError as error:
        raise ModelError(f"{file} takes {name}, expected a tensor of numbers.") from error


CALLS: Mapping[str, type[ProgramCall]] = {"onnx": OnnxCall, "torchscript": TorchScriptCall}


def build_source(
    text: str, sha256: str, file: str, name: str, kwargs: Mapping[str, Any]
) -> nn.Module:
    """A network that Python code of a package builds, if the user agreed to run it.

    Parameters
    ----------
    text
        The whole file.
    name, kwargs
        What is called in it, and with what.

    Raises
    ------
    ConsentError
        If there is no consent.
    ModelError
        If the text is another, or the code fails or gives no network.
    """
    program = Program(file, sha256, "Python code")
    content = verified(text.encode(), program)
    module = types.ModuleType(f"napari_tincture_package_{sha256[:16]}")
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    try:
        exec(compile(content, file, "exec"), module.__dict__)  # agreed to, by its hash
        make: Callable[..., Any] = getattr(module, name)
        network = make(**kwargs)
    except ConsentError:
        raise
    except Exception as error:
        raise ModelError(
            f"The code {file} of the package failed: {type(error).__name__}: {error}. It may need "
            "a package that is not installed."
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{name} of {file} gave a {type(network).__name__}, expected a module.")
    return network
