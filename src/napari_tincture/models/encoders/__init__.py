"""Networks that tell a generator more than the image does, one per file, found by its name."""
