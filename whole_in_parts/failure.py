"""The error that ends a stage with one message for its user."""


class Failure(Exception):
    """An error with one line for the user, which names the key, file or value and what is allowed."""
