"""Checkpoints of published implementations: one file per family, found by its name.

Each recognises its networks by the names and shapes of their tensors.
"""
