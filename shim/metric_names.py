"""MLflow's metric keys <-> scope and key: `val/acc` is the metric `acc` on validation data."""

from __future__ import annotations

from functools import lru_cache

from native_api.core.metrics import MetricScope, Name

_PREFIXES = {MetricScope.TRAIN: "train/", MetricScope.VAL: "val/", MetricScope.TEST: "test/"}
_SCOPES = {prefix: scope for scope, prefix in _PREFIXES.items()}


@lru_cache(maxsize=10_000)
def split(full: str) -> Name:
    """The scope and the key in an MLflow key. One without a known prefix, or with nothing after it, has no scope."""
    head, slash, key = full.partition("/")
    scope = _SCOPES.get(head + slash)
    return Name(scope, key) if scope and key else Name(MetricScope.NONE, full)


def full_name(scope: int, key: str) -> str:
    """The MLflow key of a metric: what `split` took apart."""
    return _PREFIXES[MetricScope(scope)] + key if scope else key
