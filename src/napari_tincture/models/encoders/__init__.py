"""Networks that tell another one more than the image does, one per file, found by its name."""
