"""Datasets: where images come from, shards of them, and the order in which a training sees them."""
