"""Probing frozen features: how they lie on disk, and the linear classifier that reads them."""
