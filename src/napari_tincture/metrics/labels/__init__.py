"""Metrics of label images, one file each: objects, classes, boundaries, and what they count."""
