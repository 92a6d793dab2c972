"""Which files of a package its import reads, known from its description alone."""

from __future__ import annotations

from napari_tincture.models.packages._archive import is_address, safe_name
from napari_tincture.models.packages._choose import KINDS
from napari_tincture.models.packages._description import Description


def needed_files(description: Description, origin: str) -> dict[str, str | None]:
    """Names of the files, and the SHA-256 that the description states for each.

    Weights that cannot be used here, and files elsewhere on the net, are left out.

    Parameters
    ----------
    origin
        Where the description is from, for a message.

    Raises
    ------
    ModelError
        If a name leads out of the package.
    """
    found: dict[str, str | None] = {}
    for tensor in (*description.inputs, *description.outputs):
        if tensor.test:
            found[str(tensor.test)] = tensor.test_sha256
    for kind, weights in description.weights.items():
        if kind in KINDS and weights.external is None:
            found[weights.file] = weights.sha256
            if weights.code is not None:
                found[weights.code] = weights.code_sha256
    return {
        safe_name(name.removeprefix("./"), origin): sha256
        for name, sha256 in found.items()
        if not is_address(name)
    }
