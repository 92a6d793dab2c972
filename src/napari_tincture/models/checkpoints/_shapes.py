"""Reading a network's options from the names and shapes of its tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_tincture.models.checkpoints._found import State

Shape = tuple[int, ...]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def shapes_of(state: State) -> dict[str, Shape]:
    """Shapes by name, without running statistics."""
    return {
        key: tuple(value.shape)
        for key, value in state.items()
        if key.rpartition(".")[2] not in STATISTICS
    }


def kernels(shapes: Mapping[str, Shape], prefix: str) -> dict[int, Shape]:
    """Shapes of convolutions ``prefixN.weight`` directly below a prefix, by N in order."""
    found = {}
    for key, shape in shapes.items():
        place = key.removeprefix(prefix).removesuffix(".weight")
        if key == f"{prefix}{place}.weight" and place.isdigit() and len(shape) == 4:
            found[int(place)] = shape
    return dict(sorted(found.items()))


def norm_of(shapes: Mapping[str, Shape], prefix: str, conv: int, norm: int) -> str:
    """Which norm follows a convolution: batch norm has weights, before instance norm are biases."""
    if len(shapes.get(f"{prefix}{norm}.weight", ())) == 1:
        return "batch"
    return "instance" if f"{prefix}{conv}.bias" in shapes else "none"


def indices(shapes: Iterable[str], prefix: str, follow: str = "") -> list[int]:
    """All N of names ``prefixN`` + `follow`, in order."""
    found = set()
    for key in shapes:
        number, _, rest = key.removeprefix(prefix).partition(".")
        if key.startswith(prefix) and number.isdigit() and f".{rest}".startswith(follow):
            found.add(int(number))
    return sorted(found)


def usual(values: Iterable[int]) -> int:
    """What most layers say: one damaged tensor must not pass for all others being wrong."""
    return Counter(values).most_common(1)[0][0]
