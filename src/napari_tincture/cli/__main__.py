"""``python -m napari_tincture.cli`` is the command ``napari-tincture``."""

from napari_tincture.cli import main

main()
