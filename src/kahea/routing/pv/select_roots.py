"""Where selects (`@name...`) of modules begin: each first name with the function that reads what follows it.

Module pv compiles selects, and knows those of messages; another module adds its own here when it is imported. What it
adds depends on no node.
"""

from __future__ import annotations

from collections.abc import Callable

from kahea.routing.pv.table import Bound

#: Names with their indexes as written, None for none.
Steps = list[tuple[str, str | None]]

#: By the first name. The function is given the steps after it; it raises PvError for a select that there is not.
SELECT_ROOTS: dict[str, Callable[[Steps], Bound]] = {}
