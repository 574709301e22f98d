"""Local variables, and what is known of them before code is made."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from typing import Final

from kahea.engines.squirrel import tree

#: What names of the run-time begin with where scripts' code sees them; no variable of a script does.
RESERVED: Final = "_sq_"


def ksr_name(path: str) -> str:
    """What compiled code calls a function of KSR, without the prefix: by its path, where no other gets the same."""
    return "KSR_" + path.replace(".", "__")


@dataclass(slots=True, eq=False)
class Variable:
    """A local variable, parameter, or the like."""

    name: str
    #: Its name in Python: its own where that is free.
    python: str
    owner: FunctionScope
    #: Whether each turn of a loop has one of its own.
    in_loop: bool
    #: All that is assigned to it.
    values: list[tree.Expression | None] = field(default_factory=list)
    #: Whether values come that `values` does not have: from a caller, a container, an error.
    opaque: bool = False
    captured: bool = False
    #: The kind of all its values (see `kinds`); empty while none is known.
    kind: str = ""

    @property
    def boxed(self) -> bool:
        """Whether it lives in a list of one, since closures made in one turn of a loop share it with no other turn."""
        return self.in_loop and self.captured


@dataclass(slots=True, eq=False)
class FunctionScope:
    """What is known of a function; of the file's own level too."""

    parent: FunctionScope | None
    names: set[str] = field(default_factory=set)
    #: Variables of functions around it that it uses, or that one in it does.
    free: dict[Variable, None] = field(default_factory=dict)
    #: Of these, those that it assigns itself.
    assigned: dict[Variable, None] = field(default_factory=dict)
    parameters: list[Variable] = field(default_factory=list)
    vargv: Variable | None = None
    generates: bool = False
    #: Whether it names `base`.
    based: bool = False
    #: Whether it calls what may call it.
    calls: bool = False

    def python_name(self, name: str) -> str:
        """A name for a variable that neither this function nor one around it uses."""
        found, number = name, 1
        while self._taken(found):
            number += 1
            found = f"{name}__{number}"
        self.names.add(found)
        return found

    def _taken(self, name: str) -> bool:
        if keyword.iskeyword(name) or name.startswith((RESERVED, "__")) or name == "this":
            return True
        scope: FunctionScope | None = self
        while scope is not None:
            if name in scope.names:
                return True
            scope = scope.parent
        return False

    def use(self, variable: Variable) -> None:
        """Note that it uses a variable, perhaps of a function around it."""
        scope: FunctionScope | None = self
        while scope is not None and scope is not variable.owner:
            variable.captured = True
            scope.free[variable] = None
            scope = scope.parent

    def boxes(self) -> list[Variable]:
        """The boxed variables of functions around it that it uses."""
        return [variable for variable in self.free if variable.boxed]
