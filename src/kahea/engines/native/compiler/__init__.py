"""The compiler of the native language: routes become Python code objects on the cfg's own lines.

Rules of this room:

1. Python's `ast` is made, never source text. Every node has the place of what it was made from.
2. Names are resolved here, once: generated code calls functions, getters and formats directly.
3. Errors are collected, so that an operator sees them all. Nothing is swapped in while there is one.
"""

from kahea.engines.native.compiler.routes import compile_program

__all__ = ["compile_program"]
