"""What schemathesis has to know about the native API beyond its document; see test_contract.py."""

from __future__ import annotations

import json
import os
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks

# No cursor can be made up, so only the empty one is sent, which stands for the first page.
schemathesis.openapi.format("cursor", st.just(""))

# Wrong passwords from one place are refused with 429 after a while, without a look at them.
checks.AUTH_REJECTION_STATUSES |= {429}  # type: ignore[attr-defined]

KNOWN: dict[str, str] = json.loads(os.environ["CONTRACT_IDS"])
"""By the name of the field: the UUID of a thing that exists."""

SPARED = ("/api/users/{user_id}/deactivate", "/api/projects/{project_id}")
"""What would keep everything else from being done (the second: to what is in an archived project)."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """A UUID that was made up names nothing: put one that does in its place, but where things end."""
    if case.method != "DELETE" and case.path not in SPARED:
        case.path_parameters = name_known(case.path_parameters)
        case.query = name_known(case.query)
        case.body = name_known(case.body)


def name_known(value: Any) -> Any:
    if isinstance(value, list):
        return [name_known(item) for item in value]
    if isinstance(value, dict):
        return {name: KNOWN[name] if name in KNOWN and is_uuid(field) else field for name, field in value.items()}
    return value


def is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False
