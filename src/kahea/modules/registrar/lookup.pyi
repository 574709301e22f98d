"""Types of the compiled look-ups."""

from typing import Final

from kahea.modules.registrar.rules import Rules
from kahea.routing.run import Run

# What lookup() returns.
FOUND: Final = 1
NOT_FOUND: Final = -1
NO_METHOD: Final = -2
FAILED: Final = -3

class Lookups:
    """The look-ups of one registrar: see the functions of `Registrar` that have these names."""

    def __init__(self, rules: Rules) -> None: ...
    def lookup(self, run: Run, table: str) -> int: ...
    def lookup_uri(self, run: Run, table: str, uri: str) -> int: ...
    def lookup_to_dset(self, run: Run, table: str, uri: str) -> int: ...
    def lookup_branches(self, run: Run, table: str) -> int: ...

class Search:
    """One look-up for a message."""
