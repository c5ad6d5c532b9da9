"""Object detection and instance segmentation: the detector, its training samples, its training, its evaluation."""
