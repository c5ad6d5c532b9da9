"""The error that ends a stage with one message for its user."""

UNFIT = (ValueError, RuntimeError, LookupError, TypeError, AttributeError)
"""What torch and Python raise where content is not of the form that a reader takes for granted."""


class Failure(Exception):
    """An error with one line for the user, which names the key, file or value and what is allowed."""


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says of an error, or the type of the error if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def described(error: Exception) -> str:
    """Return the type of an error and the first line of what it says, since a KeyError says a key alone."""
    return f"{type(error).__name__}: {first_line(error)}"
