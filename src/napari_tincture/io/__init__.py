"""Images from and to files, layers and arrays."""
