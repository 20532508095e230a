"""What a test needs and a machine may lack."""

import os
from typing import NoReturn

import pytest


def lacking(why: str) -> NoReturn:
    """In CI everything has to be there; elsewhere the test is skipped and says why."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
