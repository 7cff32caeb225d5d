"""Tells what is counted apart, and passes time, from inside the program that is counted."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import random
from collections.abc import Iterator

__all__ = ["Marks"]


class Marks:
    """What marks.c does, in the process that was loaded with it.

    Args:
        name: stands before every name under which something is kept.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._code = code = ctypes.CDLL(os.environ["COUNTS_MARKS"])
        code.keep_counts.argtypes = [ctypes.c_char_p]
        code.pass_time.argtypes = [ctypes.c_int64]
        self._toggle = code.toggle_counting
        #: Counting begins, and with it the time that it takes.
        self.begin = code.begin_counting

    def keep(self, name: str) -> None:
        """What was counted since the last call is kept under this name; counting begins anew."""
        self._code.keep_counts(f"{self._name}.{name}".encode())

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """What happens inside is no work of the code under measurement."""
        self._toggle()
        try:
            yield
        finally:
            self._toggle()

    def stop_time(self) -> None:
        """From now on this process's clocks count, and it throws the same dice every time."""
        self._code.time_stands()
        random.Random = functools.partial(random.Random, 4)  # type: ignore[assignment,misc]
        random.seed(4)

    def pass_time(self, seconds: float) -> None:
        """Time goes on, which it does only here and by being read."""
        self._code.pass_time(int(seconds * 1e9) + 1)
