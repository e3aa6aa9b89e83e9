"""Signals that ask a run to end."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stop:
    """Whether a signal has asked for an end.

    Attributes:
      requested: True from the first signal on.

    Example:
      >>> Stop().requested
      False
    """

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: the first one asks, the second one insists."""
        del number, frame
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Lets SIGINT and SIGTERM ask for an end; the handlers of before come back afterwards.

    Outside the main thread Python allows no handlers: there nothing asks.

    Yields:
      The request, to look at between steps.

    Example:
      >>> import os, signal
      >>> with stop_on_signals() as stop:
      ...     os.kill(os.getpid(), signal.SIGTERM)
      ...     print(stop.requested)
      True
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
