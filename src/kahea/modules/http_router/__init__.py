"""Calls routed by an HTTP service, without a script (no module of Kamailio's)."""
