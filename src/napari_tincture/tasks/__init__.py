"""What a user does, one task per file."""
