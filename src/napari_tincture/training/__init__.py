"""Learning from pairs, and the recipes of the starter models."""
