"""How another process opens the same raster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from napari_tincture.raster import Raster


@dataclass(frozen=True, slots=True)
class SourceRef:
    """How another process on the same file system opens the same raster.

    Attributes
    ----------
    kind : {"path", "channels", "sample"}
        A file or folder; several sources joined as channels; a sample image of this package.
    path : str
        The file, folder or URL; the name of the sample; empty for channels.
    options : mapping
        JSON-serialisable arguments of the opener.
    steps : tuple
        What was done since: ``("crop", {"y": [0, 512]})``, ``("plane", {"z": 3})``, or
        ``("restate", {"scale": 0.5})`` with arguments of `open_image`, or ``("describe", {...})``
        with fields of the raster.
    """

    kind: Literal["path", "channels", "sample"]
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def then(self, step: str, arguments: Mapping[str, Any]) -> SourceRef:
        """Add a step."""
        return replace(self, steps=(*self.steps, (step, dict(arguments))))

    def open(self) -> Raster:
        """Open the raster, in any process."""
        from napari_tincture.io.open import reopen

        return reopen(self)

    def to_json(self) -> dict[str, Any]:
        """Give a JSON-serialisable dict."""
        return {
            "kind": self.kind, "path": self.path, "options": dict(self.options),
            "steps": [[name, dict(arguments)] for name, arguments in self.steps],
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SourceRef:
        """Rebuild from `to_json`."""
        steps = tuple((name, dict(arguments)) for name, arguments in data["steps"])
        return cls(data["kind"], data["path"], dict(data["options"]), steps)
