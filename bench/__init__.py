"""Speed, as ratios of medians measured in turn in one run: `make bench`."""
