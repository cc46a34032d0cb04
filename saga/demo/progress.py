"""What the audience sees while the demo runs: on a terminal one line that is redrawn, elsewhere a line now and then.

Everything goes to stderr: stdout is for data.
"""

import sys
import time
from collections.abc import Callable

PLAIN_EVERY = 3.0


class Progress:
    """Talks to stderr."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._redraws = sys.stderr.isatty()
        self._last_plain = float("-inf")
        self._drawn = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._wipe()
        print(f"{self.seconds:6.1f} s  {sentence}", file=sys.stderr, flush=True)

    def show(self, sentence: Callable[[], str]) -> None:
        """A line that the next one replaces."""
        if self._redraws:
            line = f"{self.seconds:6.1f} s  {sentence()}"
            print("\r" + line.ljust(self._drawn), end="", file=sys.stderr, flush=True)
            self._drawn = len(line)
        elif self.seconds - self._last_plain >= PLAIN_EVERY:
            self._last_plain = self.seconds
            self.say(sentence())

    def _wipe(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=sys.stderr)
            self._drawn = 0
