"""Waiting for conditions."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NeverHappened(AssertionError):
    """What was waited for did not come in time."""


def until(what: str, condition: Callable[[], T], limit: float = 20.0) -> T:
    """Asks `condition` until it answers something true, and returns that."""
    end = time.monotonic() + limit
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise NeverHappened(
                f"waited {limit:g} s for this, and it did not happen: {what} (last answer: {answer!r})"
            )
        time.sleep(0.05)
