"""``python -m napari_tincture.worker``: started by napari's process, not by hand."""

from napari_tincture.worker.server import main

if __name__ == "__main__":
    raise SystemExit(main())
