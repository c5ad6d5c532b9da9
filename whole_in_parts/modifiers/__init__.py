"""Modifiers of a method, one file each: written once, for every base that can carry them."""
