"""Augmented views of a batch, and the counter-based random numbers that they are drawn from."""
