"""Exact tiling: what a network sees, what it takes from the whole image, and how jobs run."""
