"""Datasets: sources of images, shards, and the order of the samples in training."""
