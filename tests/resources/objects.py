"""Objects for tests, as the API server sends them."""

from __future__ import annotations

from webhook.resources import Kind, read_object

__all__ = ["make_object", "make_rule"]


def make_object(kind, name, spec, namespace="", *, generation=1, created=0, uid=None):
    """Return an object with a spec; *created* is its age in seconds."""
    metadata = {
        "name": name,
        "uid": uid or f"{kind}-{namespace}-{name}",
        "generation": generation,
        "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
    }
    if kind is Kind.TEAM:
        metadata["namespace"] = namespace or "shop"
    return read_object({"kind": str(kind), "metadata": metadata, "spec": spec})


def make_rule(match, target=None, **keys):
    """Return a rule as in JSON; without a target it keeps images."""
    mirrors = {"keep": True} if target is None else {"mirrors": [{"target": target}]}
    return {"match": match, **mirrors, **keys}
