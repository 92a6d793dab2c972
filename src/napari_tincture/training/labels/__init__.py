"""Learning from labels: how they are read, what is learned of them, and how it is judged."""
