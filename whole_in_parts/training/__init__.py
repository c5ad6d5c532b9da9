"""Training: the loop, optimizers and the online evaluation."""
