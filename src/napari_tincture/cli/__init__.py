"""The command ``napari-tincture``: everything that needs no window."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process."""
    from napari_tincture.cli.app import app

    app()
