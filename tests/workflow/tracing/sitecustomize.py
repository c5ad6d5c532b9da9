"""Python loads this by itself from PYTHONPATH: a stage lists the files that it opens for reading, in `$TRACE`."""

import os
import sys


def trace(listing: str) -> None:
    """List the files that Python opens from now on; what libraries open by themselves is not seen."""
    listed = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def opened(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str) and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            path = os.path.abspath(arguments[0])  # noqa: PTH100 (links stay as they are)
            if os.path.isfile(path):  # noqa: PTH113
                os.write(listed, f"{path}\n".encode())

    sys.addaudithook(opened)


if "TRACE" in os.environ and "DVC_STAGE" in os.environ:
    trace(f"{os.environ['TRACE']}/{os.environ['DVC_STAGE']}")
