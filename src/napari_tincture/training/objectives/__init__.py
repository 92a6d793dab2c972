"""What each family of networks learns from: its losses and the order of its updates.

One family per file, found by its name; each has ``parts`` and ``build``.
"""
