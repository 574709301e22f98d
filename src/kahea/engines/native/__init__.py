"""Kamailio's own configuration language, compiled to Python. `tree` says how the parts fit together."""
