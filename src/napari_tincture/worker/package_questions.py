"""What is asked about model packages: what is in one, and to import it; no torch for the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def inspect_package(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a package is, running nothing of it.

    Returns
    -------
    dict
        The attributes of `Package`; "weights" is a list of kind, what is lacking, and the SHA-256
        of what is run, "" for nothing; "programs" have their text, too.
    """
    from napari_tincture.models.packages.program_text import program_text
    from napari_tincture.tasks import packages

    path = Path(fields["path"])
    found = packages.inspect_package(path)
    plain = ("name", "version", "description", "licence", "citation", "task", "tested")
    programs = {program.sha256: program for program in found.programs}
    return {
        **{name: getattr(found, name) for name in plain},
        "inputs": list(found.inputs),
        "outputs": list(found.outputs),
        "weights": [
            {
                "kind": kind,
                "lacking": lacking,
                "runs": found.runs[kind].sha256 if kind in found.runs else "",
            }
            for kind, lacking in found.weights.items()
        ],
        "programs": [
            {
                "file": program.file,
                "sha256": program.sha256,
                "what": program.what,
                "text": program_text(path, program),
            }
            for program in programs.values()
        ],
    }


def import_package(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Import a package into the user's library; give name and task of the model.

    Nothing is run but the programs in "consent", also where others were agreed to before.
    """
    from napari_tincture.models.consent import nothing_but
    from napari_tincture.models.library import note_origin
    from napari_tincture.tasks import packages

    agreed = fields["consent"]
    with nothing_but(agreed):
        model = packages.import_package(
            fields["path"],
            consent=dict.fromkeys(agreed, True),
            weights=fields["weights"],
            output=fields["output"] or None,
            task=fields["task"],
            name=fields["name"] or None,
            pixel_size=fields["pixel_size"],
            on_mismatch=fields["on_mismatch"],
            save_to=packages.LIBRARY,
        )
    if (origin := fields.get("origin")) and model.path is not None:
        note_origin(model.path, origin)
    return {"name": model.card.name, "task": model.card.task}
