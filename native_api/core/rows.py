"""Many rows at once, as the driver gives them."""

from typing import Any, cast

from sqlalchemy import CursorResult


def plain(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
    """All rows as plain tuples: SQLAlchemy's own rows cost a third more time.

    No type of a column is applied, so what was selected must be plain numbers and texts.
    """
    cursor = result.cursor
    assert cursor is not None, "the statement gives rows"
    return cast(list[tuple[Any, ...]], cursor.fetchall())
