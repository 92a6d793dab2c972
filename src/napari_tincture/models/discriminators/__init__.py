"""Networks that judge images, one architecture per file, found by its name."""
