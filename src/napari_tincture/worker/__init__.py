"""The process that runs jobs for the panels, and napari's side of it.

`client` is what panels use; `server` and `work` run in the other process, the only one that
imports torch.
"""
