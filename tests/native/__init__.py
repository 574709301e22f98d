"""The native language."""
