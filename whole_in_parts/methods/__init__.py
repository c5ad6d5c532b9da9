"""Methods of pretraining, one file each, and what they are built from."""
