"""Artifact roots that have moved, and what is below them."""

from collections.abc import Mapping


def moved(uri: str, roots: Mapping[str, str]) -> str | None:
    """Where what this URI names is now, given the new places of artifact roots; None if it is below none of them."""
    root, rest = uri.rstrip("/"), ""
    while root:
        if root in roots:
            return roots[root] + rest
        root, slash, name = root.rpartition("/")
        rest = slash + name + rest
    return None
