"""What is going on, for who waits."""

import sys


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)
