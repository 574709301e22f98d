"""Kahea: a SIP signalling server whose routing is decided by scripts."""

from kahea.version import __version__

__all__ = ["__version__"]
