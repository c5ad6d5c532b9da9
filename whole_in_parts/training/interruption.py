"""Interruption by a scheduler, which sends SIGTERM or SIGUSR1 some time before it kills the process."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Interrupted(Exception):
    """Ends a stage that was told to stop and has kept what it did."""


class Interruption:
    """A context in which these signals set `requested` and do not end the process."""

    def __init__(self) -> None:
        self.requested = False
        self.before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.request) for number in SIGNALS}
        return self

    def request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
