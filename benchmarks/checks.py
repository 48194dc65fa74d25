"""That an answer says what it should: a fast wrong one counts for nothing."""


def require(true: bool, what: str) -> None:
    """Raises AssertionError, also where Python leaves assertions out."""
    if not true:
        raise AssertionError(f"expected {what}")
