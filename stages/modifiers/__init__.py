"""Modifiers of a base method, one file each: written once, for every base that can carry them."""

import importlib

from stages.methods import Method


def modify(method: Method, options) -> Method:
    """The method as `options.name` changes it: the file of that name in this folder.

    Raises:
        ValueError: the method cannot carry this modifier.
    """
    return importlib.import_module(f"stages.modifiers.{options.name}").modify(method, options)
