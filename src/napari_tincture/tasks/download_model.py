"""Models that others published, by address or id."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.tasks.import_checkpoint import LIBRARY

if TYPE_CHECKING:
    from napari_tincture.models.model import Model

MEGABYTE = 1_000_000


def download_model(
    source: str,
    *,
    sha256: str | None = None,
    name: str | None = None,
    consent: Mapping[str, bool] | None = None,
    save_to: str | PathLike[str] = LIBRARY,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **options: Any,
) -> Model:
    """Download a model, and import it; nothing in it is executed without consent.

    What breaks off, or is cancelled, goes on with the next call. The card notes address and
    SHA-256 (`origin`): a later download from there must give the same, or is refused.

    Parameters
    ----------
    source
        Address (``https``) of a ``.safetensors`` file, a published checkpoint or a BioImage.IO
        package (``.zip``, ``rdf.yaml``); an id of BioImage.IO such as "affable-shark" or
        "affable-shark/1.2"; or a DOI of a package at Zenodo, such as "10.5281/zenodo.5764892".
    sha256
        Of the file, hexadecimal; of an id or ``rdf.yaml``, that of the description. It is compared
        before anything is made of the file. Where it is that of a model that was downloaded
        before, that one is taken, also without a connection.
    name
        What the model is called; as the package, card or file if not given.
    consent
        Programs of a package that may be run, by their SHA-256, as in `import_package`.
    save_to
        A ``.safetensors`` file to write, or "library": the user's own models. Of a model there
        that was made of the very same download, no second one is made unless `name` is given.
    progress
        Called with bytes that are there, and of all that is known of.
    cancel
        Stops within a piece of 256 kB.
    **options
        Of `import_package` or `import_checkpoint`.

    Returns
    -------
    Model
        That of the file `save_to`.

    Raises
    ------
    ModelError
        If the source cannot be reached: the message says what to do without a connection. If the
        hash is another, of which nothing is kept; or as `import_package` and `import_checkpoint`.
    ConsentError
        If a program would be run without consent; what was downloaded is kept for the next call.
    OutputError
        If there is no room, or `save_to` cannot be written.
    """
    from napari_tincture.io.fetch_model import fetch_model
    from napari_tincture.models import load_model
    from napari_tincture.tasks._bring import bring

    report = as_callback(progress, "MB", MEGABYTE)
    came = fetch_model(source, sha256=sha256, progress=report, cancel=cancel)
    if came.known and save_to == LIBRARY and name in (None, came.known):
        return load_model(came.known)
    model = bring(
        came.path, name=name, consent=consent, save_to=save_to, origin=came.origin, **options
    )
    if not came.known:
        came.discard()
    return model
