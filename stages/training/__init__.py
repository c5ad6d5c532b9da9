"""Training: the loop, and what it takes: an optimizer, its schedule, and checkpoints."""
