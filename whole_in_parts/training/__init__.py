"""Training: the loop, the optimizers, and the evaluation beside it."""
