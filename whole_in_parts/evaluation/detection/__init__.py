"""Detection and segmentation: a network that finds objects, what it is trained on, its training, its precision."""
