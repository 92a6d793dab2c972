"""Images to learn from: opened lazily, divided, and drawn as crops."""
