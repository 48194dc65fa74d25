"""Who asks: request headers -> Actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from native_api.core.access import Actor
from native_api.core.errors import NotFound, Unauthenticated


@dataclass(frozen=True)
class OpenAccess:
    """Access mode *open*, on loopback only: a caller without credentials acts as the local owner.

    A credential that is presented counts, and since there are no accounts yet, none is known.
    """

    owner: Actor
    workspace: str

    def __call__(self, headers: Mapping[bytes, bytes]) -> Actor:
        if b"authorization" in headers:
            raise Unauthenticated("These credentials are not known: this server has no accounts yet, use none")
        workspace = headers.get(b"x-mlflow-workspace", b"").decode("latin-1").strip()
        if workspace not in ("", self.workspace):
            raise NotFound("workspace", workspace)
        return self.owner
