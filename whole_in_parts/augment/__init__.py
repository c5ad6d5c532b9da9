"""Augmented views of a batch, and the counter-based random numbers from which their parameters are drawn."""
