"""What ends a stage with one clear message."""


class Failure(Exception):
    """What stops a stage: one clear message that names the key, file or value, and what is allowed."""
