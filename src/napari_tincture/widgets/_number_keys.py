"""Number keys that choose a class, lent to one panel after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

_BEFORE: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""What a key was bound to when one of the functions here took it."""


class NumberKeys:
    """Keys 1 to 9 choose a class where a viewer or some of its layers have the focus.

    Bindings of napari's layers come before those of the viewer; so the layers get them, too.
    """

    def __init__(self, viewer: Any, choose: Callable[[int], None]) -> None:
        self._viewer, self._choose = viewer, choose
        self._owners: list[Any] = []
        self._bound: list[tuple[Any, str, Any]] = []
        self._resting = False

    def bind(self, layers: Sequence[Any]) -> None:
        """Bind them for the viewer and these layers, and no others; not while they `rest`."""
        owners = [self._viewer, *layers]
        if self._resting or owners == self._owners:
            return
        self.release()
        self._owners = owners
        for owner in owners:
            for number in range(1, 10):
                key, own = str(number), self._chooser(number - 1)
                _BEFORE[own] = owner.bind_key(key, None)
                owner.bind_key(key, own)
                self._bound.append((owner, key, own))

    def release(self, *_: Any) -> None:
        """Give the keys back to whoever had them, or leave them to who has taken them since."""
        for owner, key, own in self._bound:
            left = _without(own, owner.bind_key(key, None))
            if left is not None:
                owner.bind_key(key, left)
        self._bound, self._owners = [], []

    def rest(self) -> None:
        """Give the keys back, and take them no more until `wake`."""
        self._resting = True
        self.release()

    def wake(self) -> None:
        """Let them be bound again."""
        self._resting = False

    def _chooser(self, place: int) -> Callable[[Any], None]:
        # A function: napari asks what is bound for its name.
        def choose_class(_: Any) -> None:
            self._choose(place)

        return choose_class


def _without(own: Any, bound: Any) -> Any:
    """What a key is to be bound to once one that took it lets go, of what it is bound to now."""
    if bound is own:
        return _BEFORE.pop(own)
    if bound in _BEFORE:
        _BEFORE[bound] = _without(own, _BEFORE[bound])
    return bound
