"""Benchmarks of speed: ratios of median rates, measured alternately in one run. `make bench`"""
