"""In which numbers networks compute, and which of them a device is fast in.

Nothing here imports torch before it is asked about a device.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, get_args

from napari_tincture.device import resolve_device
from napari_tincture.errors import DeviceError, TinctureWarning

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
"""How a network computes. "float32" keeps TF32 off."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def resolve_precision(precision: str = "auto", device: str | torch.device = "auto") -> Precision:
    """Turn the `precision=` argument of a public call into how the network will compute.

    Parameters
    ----------
    precision
        "auto" is "float32" with TF32 off. "tf32", "bfloat16" and "float16" trade accuracy for
        speed and are never chosen on their own.
    device
        Where the network will run.

    Raises
    ------
    DeviceError
        If the precision is unknown, or the device does not have it.
    """
    chosen = resolve_device(device)
    if precision == "auto":
        return "float32"
    for known in PRECISIONS:
        if precision == known:
            if problem := _lacks(known, chosen):
                raise DeviceError(f"precision={precision!r} on {chosen}: {problem}")
            return known
    raise DeviceError(
        f"Unknown precision {precision!r}. Use 'auto' or one of {', '.join(PRECISIONS)}."
    )


def has_bfloat16(device: str | torch.device) -> bool:
    """Whether a device has units for bfloat16, which make it faster than float32.

    Elsewhere torch computes in it by way of float32: on a processor a step of a training takes
    ten times as long as in float32. Apple's GPUs are not counted among those that have them.
    """
    import torch

    chosen = resolve_device(device)
    if chosen.type == "cuda":
        with torch.cuda.device(chosen):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if chosen.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def warn_if_slow(precision: str, device: str | torch.device, what: str) -> None:
    """Warn of bfloat16 on a processor without units for it; `what` would be faster without."""
    if precision != "bfloat16":
        return
    chosen = resolve_device(device)
    if chosen.type == "cpu" and not has_bfloat16(chosen):
        warnings.warn(
            "precision='bfloat16' on a processor without units for it (AVX512-BF16 or AMX): "
            f"{what} can take ten times as long as in float32. Use precision='auto' or 'float32'.",
            TinctureWarning,
            stacklevel=3,
        )


def _lacks(precision: Precision, device: torch.device) -> str:
    import torch

    other = "bfloat16" if has_bfloat16(device) else "float32"
    if precision == "tf32" and device.type != "cuda":
        return f"only Nvidia GPUs have TF32. Use {other!r}."
    if precision == "tf32" and torch.cuda.get_device_capability(device) < (8, 0):
        return "this GPU is older than TF32 (compute capability 8.0). Use 'float32' or 'float16'."
    if precision == "float16" and device.type == "cpu":
        return f"processors convolve in float16 far slower than in float32. Use {other!r}."
    if precision == "bfloat16" and device.type == "cuda" and other != "bfloat16":
        return "this GPU has no bfloat16. Use 'float16' or 'float32'."
    return ""
