"""One training by several processes."""
