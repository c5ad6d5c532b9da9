"""A library for self-supervised vision: methods that learn from images and their parts, and evaluations of them."""
