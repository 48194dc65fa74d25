"""What the native surface's messages are made of: ids, times, texts, pages, and the error that every refusal is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)

from native_api.core import pages

T = TypeVar("T")
U = TypeVar("U")

# Scalars. Within the server an id is 32 hex digits and a time milliseconds; on the wire they are UUIDs and ISO 8601.


def _hex(text: str) -> str:
    try:
        return UUID(text).hex
    except ValueError:
        raise ValueError("not a UUID") from None


Id = Annotated[
    str,
    StringConstraints(min_length=32, max_length=36, pattern=r"^[0-9a-fA-F-]*$"),
    AfterValidator(_hex),
    PlainSerializer(lambda text: str(UUID(text)), when_used="json"),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_moment = TypeAdapter(datetime)


def _milliseconds(value: object) -> object:
    """The time in a text; without an offset it is UTC. What is no text is a time within the server already."""
    if not isinstance(value, str):
        raise ValueError("not an ISO 8601 time")
    try:
        moment = _moment.validate_python(value if "T" in value.upper() else "")
    except ValueError:
        raise ValueError("not an ISO 8601 time") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def iso(milliseconds: int) -> str:
    """A time as text. MLflow takes any 64 bits: what lies beyond the calendar is shown as its first or last moment."""
    moment = _EPOCH + timedelta(milliseconds=max(_FIRST, min(_LAST, milliseconds)))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})
Time = Annotated[int, BeforeValidator(_milliseconds), _TIME_SCHEMA]
"""A time in a request."""
ShownTime = Annotated[int, PlainSerializer(iso, when_used="json"), _TIME_SCHEMA]
"""A time in an answer."""


def _number(value: float) -> float | str:
    """JSON has no words for some numbers."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


ShownValue = Annotated[
    float,
    PlainSerializer(_number, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}),
]
"""The value of a metric in an answer."""


def text(at_most: int, at_least: int = 0, pattern: str = r"^[^\x00]*$") -> Any:
    """A text of so many characters, without NUL, which no database keeps."""
    return StringConstraints(min_length=at_least, max_length=at_most, pattern=pattern)


Name = Annotated[str, text(255, at_least=1)]
LongText = Annotated[str, text(65_535)]
Uri = Annotated[str, text(2048, at_least=1)]


def _integer(value: object) -> object:
    """JSON does not tell 1.0 from 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Strict(), Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(_integer)]
Count = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1), BeforeValidator(_integer)]
Yes = Annotated[bool, Strict()]


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text == "true"


Flag = Annotated[bool, BeforeValidator(_flag)]
"""A yes or no in a query."""

Cursor = Annotated[str, text(2000), WithJsonSchema({"type": "string", "format": "cursor"})]


# Messages: each is built when it is first used, for all of them are a sixth of what a start imports


class Message(BaseModel):
    """A request. What it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Form(Message):
    """A request that comes as a form, with its fields URL-encoded. What it does not know it ignores, as OAuth2 asks."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class Changes(Message):
    """A partial update: only the fields that are sent change."""

    def sent(self, *path: str) -> dict[str, Any]:
        """The fields in the body, by their names there, without those that the path holds."""
        fields = type(self).model_fields
        return {fields[name].alias or name: getattr(self, name) for name in self.model_fields_set if name not in path}


class Nothing(Message):
    """A request without fields."""


class Listing(Message):
    """A request for one page of a list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="How many items to answer at most")] = 100
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before")] = None


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(defer_build=True, frozen=True, from_attributes=True, serialize_by_alias=True)


class Page(Answer, Generic[T]):
    """One page of a list; `next_cursor` is the `cursor` of the next one, null at the end."""

    items: Sequence[T]
    next_cursor: str | None


def page_of(page: pages.Page[U], show: Callable[[U], T]) -> Page[T]:
    """A page of the core's as an answer."""
    return Page(items=[show(item) for item in page.items], next_cursor=page.next_token)


class Error(Answer):
    """What was wrong. The same shape for every refusal."""

    error_code: str
    message: str
