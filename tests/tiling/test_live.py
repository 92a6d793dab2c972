"""A live pyramid computes what is looked at, once, nearest first, and nothing else."""
