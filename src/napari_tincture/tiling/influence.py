"""Maps of influence: which outputs of a network can depend on which pixels.

Every feature map is replaced by a map of *influence* (1 where a pixel can depend on the lit part
of the input, else 0). Convolutions become the union over their kernel, whatever their weights;
activations and frozen normalisations the identity; arithmetic the union of its operands. A
zero-initialised layer or a dead ReLU therefore hides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakIdKeyDictionary

from napari_tincture.models.layers.copies import stand_in
from napari_tincture.tiling import ops
from napari_tincture.tiling.dispatch import DispatchMode
from napari_tincture.tiling.influence_maps import (
    ROUNDING,
    across,
    binary,
    called,
    convolved,
    held,
    is_map,
    on_meta,
    one_channel,
    treats_channels_alike,
    union,
)
from napari_tincture.tiling.shapes import ShapesAlone


def influence(network: nn.Module, lit: Tensor, sites: Collection[int] = ()) -> Tensor:
    """Map of what can depend on the lit pixels of an image.

    Parameters
    ----------
    network
        Module from (1, c, y, x) to (1, c', y, x); it is run on the CPU, and not changed.
    lit
        (1, c, y, x) float32, 1 where the image is lit, else 0.
    sites
        Calls that reduce over the image: their values are held.

    Returns
    -------
    Tensor
        (1, c', y, x) float32 of 0 and 1.
    """
    # Whatever the network counts or learns as it runs, it does to copies.
    copied = stand_in(network, lambda tensor: _plain(tensor).clone())
    with torch.inference_mode(), _Influence(sites) as mode:
        mode.mark(lit)
        result: Tensor = copied(lit)
    return result.float()


def influence_from(
    network: nn.Module, shape: Sequence[int], call: int, light: tuple[int, int, int]
) -> Tensor:
    """Map of what can depend on part of a feature map: that which one call returns.

    Parameters
    ----------
    network
        Module from (1, c, y, x) to (1, c', y, x); it is run on the CPU, and not changed.
    shape
        (1, c, y, x) of the image.
    call
        Number of the call; it returns one tensor.
    light
        Axis of the map, counted from the end, and start and stop of the lit part along it.

    Returns
    -------
    Tensor
        (1, c', y, x) float32 of 0 and 1.
    """
    # Up to that call nothing is lit, so nothing need be computed.
    copied = stand_in(network, lambda tensor: tensor.detach().to("meta"))
    image = torch.zeros(*shape, device="meta")
    with torch.inference_mode(), ShapesAlone(), _Lighting(call, light):
        result: Tensor = copied(image)
    return result.float()


def _plain(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float32 if value.is_floating_point() else value.dtype)


class _Influence(DispatchMode):
    """Runs a network on maps of influence; what does not stem from the input has none."""

    def __init__(self, sites: Collection[int]) -> None:
        super().__init__()
        self._sites = sites
        self._calls = -1
        self._stems = WeakIdKeyDictionary()
        self._bases = WeakIdKeyDictionary()

    def mark(self, value: Any) -> Any:
        """Note that a tensor stems from the input, and so does what it is a view of."""
        if isinstance(value, Tensor):
            self._stems[self._base(value)] = True
        return value

    def _base(self, value: Tensor) -> Tensor:
        # Inference tensors do not know what they are views of.
        return self._bases.get(value, value)  # type: ignore[no-any-return]

    def _stems_from_input(self, value: Any) -> bool:
        return isinstance(value, Tensor) and self._base(value) in self._stems

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        kwargs = kwargs or {}
        call = ops.bind(func, args, kwargs)
        stems = [v for v in ops.tensors_of(call) if self._stems_from_input(v)]
        if not stems:
            return self._note_views(args, func(*args, **kwargs))
        kind = ops.kind_of(func)
        if self._calls in self._sites:
            result = held(func, args, kwargs, stems[0])
        elif kind == "convolution":
            result = convolved(func, call)
        elif kind == "move":
            result = self._moved(func, call, args)
        elif kind == "constant" and not is_map(call, stems[0]):
            return func(*args, **kwargs)
        elif kind == "product":
            result = self._product(func, call)
        elif kind == "across":
            axes = ops.axes_across(ops.name_of(func), call, stems[0].ndim)
            result = across(stems, axes, on_meta(func, args, kwargs))
        else:
            result = tree_map(lambda v: union(stems, v), on_meta(func, args, kwargs))
        if ops.in_place(func) and kind != "move":
            result = self._written(args[0], result)
        return tree_map(self.mark, result)

    def _note_views(self, args: Any, result: Any) -> Any:
        source = args[0] if args and isinstance(args[0], Tensor) else None

        def note(value: Any) -> None:
            if isinstance(value, Tensor) and source is not None and value is not source:
                same = value.untyped_storage()._cdata == source.untyped_storage()._cdata
                if same:
                    self._bases[value] = self._base(source)

        tree_map(note, result)
        return result

    def _written(self, place: Tensor, values: Tensor) -> Tensor:
        if not self._stems_from_input(place):
            self._base(place).zero_()
        slim = one_channel(place)
        if slim is not None:
            slim.copy_(values.amax(1, keepdim=True))
            return place
        return place.copy_(values)

    def _moved(self, func: Any, call: dict[str, Any], args: Any) -> Any:
        def seen(value: Any) -> Any:
            known = not isinstance(value, Tensor) or self._stems_from_input(value)
            return value if known or not value.is_floating_point() else torch.zeros(value.shape)

        plain = tree_map(seen, call)
        if "pad" in ops.name_of(func) and call.get("value"):
            plain["value"] = 0
        slim = one_channel(args[0]) if treats_channels_alike(func, call) else None
        if slim is not None:
            plain[func._schema.arguments[0].name] = slim
            count = args[0].shape[1]
            found = tree_map(binary, called(func, plain))
            return tree_map(lambda v: v.expand(-1, count, *v.shape[2:]), found)
        return self._note_views(args, tree_map(binary, called(func, plain)))

    def _product(self, func: Any, call: dict[str, Any]) -> Tensor:
        """Union over what is summed, of one operand after the other; the rest weighs 1."""
        adds = "add" in ops.name_of(func)
        total = torch.zeros(())
        for stem in (v for v in ops.tensors_of(call) if self._stems_from_input(v)):

            def weigh(name: str, value: Any, lit: Tensor = stem) -> Any:
                if not isinstance(value, Tensor) or value is lit:
                    return value.float() if value is lit else value
                added = name == "bias" or (name == "self" and adds)
                return torch.zeros(value.shape) if added else torch.ones(value.shape)

            weighed = {
                name: [weigh(name, v) for v in value]
                if isinstance(value, list)
                else weigh(name, value)
                for name, value in call.items()
            }
            total = torch.maximum(total, called(func, weighed))
        return (total > ROUNDING).float()


class _Lighting(_Influence):
    """Leaves the image dark, and lights part of what one call returns."""

    def __init__(self, call: int, light: tuple[int, int, int]) -> None:
        super().__init__(())
        self._lit_call, self._light = call, light

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._calls + 1 != self._lit_call:
            return super().__torch_dispatch__(func, types, args, kwargs)
        self._calls += 1
        axis, start, stop = self._light
        result = torch.zeros(on_meta(func, args, kwargs or {}).shape)
        result.narrow(axis, start, stop - start).fill_(1)
        return self.mark(result)
