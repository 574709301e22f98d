"""Management of a running node."""
