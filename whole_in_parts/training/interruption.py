"""Being told to stop: a scheduler sends SIGTERM or SIGUSR1, and soon after it kills."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Interrupted(Exception):
    """Ends a stage that was told to stop and has kept what it did."""


class Interruption:
    """While it is entered, remembers whether one of the signals came, and nothing ends because of it."""

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
