"""Now, and new ids: the two things that tests replace."""

import time
from uuid import uuid4


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A fresh public id: 32 lower hex digits."""
    return uuid4().hex
