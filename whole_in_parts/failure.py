"""The error that ends a stage with one message for its user."""


class Failure(Exception):
    """An error with one line for the user, which names the key, file or value and what is allowed."""


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says of an error, or the type of the error if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
