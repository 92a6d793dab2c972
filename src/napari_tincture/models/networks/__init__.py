"""Networks from image to image, one architecture per file, found by its name."""
