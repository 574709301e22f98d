"""Of a module that is not there, one error tells: that its functions and variables are not there either, follows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kahea.engines.native.diagnostics import Diagnostic
from kahea.engines.native.tree import LoadModule, Program
from kahea.routing.module_names import KAMAILIO, RETIRED
from kahea.routing.registry import available, canonical

#: Names that may belong to a module of which nothing is known.
_UNPLACED: Final = frozenset({"unknown-function", "unknown-variable"})


def without_followers(found: Iterable[Diagnostic], program: Program, loaded: Iterable[str]) -> list[Diagnostic]:
    """The findings but for those that `loadmodule` lines whose module is not among the `loaded` have caused."""
    names = {
        canonical(Path(d.file).name.removesuffix(".so")) for d in program.declarations if isinstance(d, LoadModule)
    }
    absent = names.difference(loaded)
    foreign = False
    for name in [name for name in absent if name not in KAMAILIO and name not in RETIRED]:
        meant = difflib.get_close_matches(name, available(), 1)
        absent.update(meant)
        foreign |= not meant
    return [d for d in found if d.module not in absent and not (foreign and d.code in _UNPLACED)]
