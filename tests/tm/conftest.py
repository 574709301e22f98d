"""The `kahea` fixture, also where the project is not installed and its entry point is not there."""

from kahea.testing.plugin import kahea

__all__ = ["kahea"]
