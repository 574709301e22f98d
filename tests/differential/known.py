"""Flows in which Kahea is known to differ from Kamailio, and why that stands."""

KNOWN: dict[str, str] = {}
