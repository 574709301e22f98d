"""The version, alone so that the build can read it without the compiled parts."""

__version__ = "0.1.0"
