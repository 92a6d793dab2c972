"""How close an image is to a reference: one metric per file, each a sum that can be merged."""
