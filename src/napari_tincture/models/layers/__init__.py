"""What architectures are made of, and how layers of theirs are run."""
