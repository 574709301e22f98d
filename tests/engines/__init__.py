"""Script languages."""
