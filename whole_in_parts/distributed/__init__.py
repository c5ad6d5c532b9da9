"""Data-parallel training with several processes."""
