"""The functions of scripts on tables: `KSR.htable`, and `sht_...` of the native language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.htable.matching import remove_matching, text_test, texts_of
from kahea.modules.htable.table import Scalar, Table
from kahea.modules.htable.variables import TableVariables
from kahea.routing.module import Value, function, native
from kahea.routing.pv import Format, PvError
from kahea.routing.pv.values import NULL_TEXT
from kahea.routing.regex import RegexError

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

NO_NUMBER = -255
NO_TABLE = -11  # of the native sht_lock and sht_unlock


class Named:
    """`table=>text` of the native language, its text compiled."""

    __slots__ = ("table", "text")

    def __init__(self, table: str, text: Format) -> None:
        self.table = table
        self.text = text


def table_and_text(node: Node, text: str) -> Named:
    """Prepare `table=>text`. Raises ValueError."""
    table, arrow, rest = text.partition("=>")
    if not arrow or not table:
        raise ValueError(f"expected table=>name, not {text!r}")
    try:
        return Named(table, node.variables.format(rest))
    except PvError as error:
        raise ValueError(str(error)) from None


class TableFunctions(TableVariables):
    """Functions on items. A table that there is not gives an error in the log, and the function's own code for it."""

    # ---- values

    @function
    def sht_get(self, run: Run, table: str, name: str) -> Value:
        """An item's value; null if there is none."""
        found = self.table(table)
        return None if found is None else found.get(name)

    @function
    def sht_gete(self, run: Run, table: str, name: str) -> Value:
        """An item's value, an empty text for null."""
        value = self.sht_get(run, table, name)
        return "" if value is None else value

    @function
    def sht_getw(self, run: Run, table: str, name: str) -> Value:
        """An item's value, the text `<null>` for null."""
        value = self.sht_get(run, table, name)
        return NULL_TEXT if value is None else value

    @function
    @native("str", "str")
    def sht_is_null(self, run: Run, table: str, name: str) -> int:
        """1 if there is no such item, 2 if no such table; -1 if there is, -2 if an initial value stands for it."""
        found = self.table(table)
        if found is None:
            return 2
        if name in found.items and not found.has_ended(found.items[name]):
            return -1
        return 1 if found.definition.initval is None else -2

    def _set(self, table: str, name: str, value: Scalar, seconds: int | None = None) -> int:
        found = self.table(table)
        if found is None:
            return -1
        if not found.set(name, value):
            return -1
        if seconds is not None:
            found.set_remaining(name, seconds)
        return 1

    @function
    def sht_sets(self, run: Run, table: str, name: str, value: str) -> int:
        """Set an item to a text."""
        return self._set(table, name, value)

    @function
    def sht_seti(self, run: Run, table: str, name: str, value: int) -> int:
        """Set an item to a number."""
        return self._set(table, name, value)

    @function
    @native("str", "str", "str", "int")
    def sht_setxs(self, run: Run, table: str, name: str, value: str, seconds: int) -> int:
        """Set an item to a text that ends after so many seconds."""
        return self._set(table, name, value, seconds)

    @function
    @native("str", "str", "int", "int")
    def sht_setxi(self, run: Run, table: str, name: str, value: int, seconds: int) -> int:
        """Set an item to a number that ends after so many seconds. Kamailio 5.6 gives 0 for 1 here."""
        return self._set(table, name, value, seconds)

    @function
    def sht_setex(self, run: Run, table: str, name: str, seconds: int) -> int:
        """Let an item end after so many seconds; 1 also if there is no such item."""
        found = self.table(table)
        if found is None:
            return -1
        found.set_remaining(name, seconds)
        return 1

    def _add(self, table: str, name: str, by: int) -> int:
        found = self.table(table)
        result = None if found is None else found.add(name, by)
        return NO_NUMBER if result is None else result

    @function
    @native("str", "str")
    def sht_inc(self, run: Run, table: str, name: str) -> int:
        """Add 1 to an item's number, and give the sum; -255 if there is no number."""
        return self._add(table, name, 1)

    @function
    @native("str", "str")
    def sht_dec(self, run: Run, table: str, name: str) -> int:
        """Take 1 off an item's number, and give the rest; -255 if there is no number."""
        return self._add(table, name, -1)

    # ---- removing

    @function
    @native("str", "str")
    def sht_rm(self, run: Run, table: str, name: str) -> int:
        """Remove an item; 1 also if there is none."""
        found = self.table(table)
        if found is None:
            return -1
        found.remove(name)
        return 1

    def _remove(self, table: str, op: str, value: str, *, values: bool) -> int:
        found = self.table(table)
        if found is None:
            return -1
        try:
            test = text_test(op, value) if op in ("re", "sw") else None
        except RegexError as error:
            self.node.log.error("bad regular expression %r: %s", value, error)
            return -1
        if test is None:
            self.node.log.warning("there is no operator %r for removing", op)
            return -1
        remove_matching(found, test, values=values)
        return 1

    @function
    @native("str", "str", "str")
    def sht_rm_name(self, run: Run, table: str, op: str, value: str) -> int:
        """Remove the items whose names match: `re` a regular expression, `sw` begin with a text."""
        return self._remove(table, op, value, values=False)

    @function
    @native("str", "str", "str")
    def sht_rm_value(self, run: Run, table: str, op: str, value: str) -> int:
        """Remove the items whose values, being texts, match: `re` a regular expression, `sw` begin with a text."""
        return self._remove(table, op, value, values=True)

    @function
    def sht_rm_name_re(self, run: Run, table: str, pattern: str) -> int:
        """Remove the items whose names a regular expression matches; 1 also if there is no such table."""
        return self._remove(table, "re", pattern, values=False) if table in self.tables else 1

    @function
    def sht_rm_value_re(self, run: Run, table: str, pattern: str) -> int:
        """Remove the items whose values a regular expression matches; 1 also if there is no such table."""
        return self._remove(table, "re", pattern, values=True) if table in self.tables else 1

    @native(table_and_text, name="sht_rm_name_re")
    def remove_names(self, run: Run, named: Named) -> int:
        """Remove the items whose names a regular expression matches, given as `table=>expression`."""
        return self._remove_named(run, named, values=False)

    @native(table_and_text, name="sht_rm_value_re")
    def remove_values(self, run: Run, named: Named) -> int:
        """Remove the items whose values a regular expression matches, given as `table=>expression`."""
        return self._remove_named(run, named, values=True)

    def _remove_named(self, run: Run, named: Named, *, values: bool) -> int:
        # Kamailio reads the table's name as it stands, and does nothing where there is none.
        if named.table not in self.tables:
            return 1
        return self._remove(named.table, "re", named.text.render(run), values=values)

    @function
    def sht_reset(self, run: Run, table: str) -> int:
        """Remove all items of a table; 0 then, as Kamailio gives it to scripts of other languages."""
        return 0 if self._reset(table) else -1

    @native("str", name="sht_reset")
    def reset_table(self, run: Run, table: str) -> int:
        """Remove all items of a table."""
        return 1 if self._reset(table) else -1

    def _reset(self, table: str) -> bool:
        found = self.table(table)
        if found is None:
            return False
        found.items.clear()
        return True

    # ---- looking for items

    def _matches(self, table: str, op: str, value: str, *, values: bool) -> int:
        """How many match; -1 if there is no such table or operator, or a bad regular expression."""
        found = self.table(table)
        if found is None:
            return -1
        try:
            test = text_test(op, value)
        except RegexError as error:
            self.node.log.error("bad regular expression %r: %s", value, error)
            return -1
        if test is None:
            self.node.log.warning("there is no operator %r for matching", op)
            return -1
        return sum(test(text) for _, text in texts_of(found, values=values))

    @function
    @native("str", "str", "str")
    @native("str", "str", "str", name="sht_has_name")
    def sht_match_name(self, run: Run, table: str, op: str, value: str) -> int:
        """Whether an item's name matches: `eq` equals, `ne` does not, `sw` begins with, `re` a regular expression."""
        return 1 if self._matches(table, op, value, values=False) > 0 else -1

    @function
    @native("str", "str", "str")
    @native("str", "str", "str", name="sht_has_str_value")
    def sht_match_str_value(self, run: Run, table: str, op: str, value: str) -> int:
        """As `sht_match_name`, by values that are texts."""
        return 1 if self._matches(table, op, value, values=True) > 0 else -1

    @function
    def sht_cn(self, run: Run, table: str, op: str, value: str) -> int:
        """How many items have names that match, as `sht_match_name` has it; -1 for an error."""
        return self._matches(table, op, value, values=False)

    # ---- locks

    def _slot(self, table: Table, name: str) -> tuple[str, str]:
        return table.name, str(table.slot_of(name))

    @function
    def sht_lock(self, run: Run, table: str, name: str) -> int:
        """Take the lock of an item's slot, waiting until it is free; a run may take it again."""
        found = self.table(table)
        if found is None:
            return -1
        return 1 if self.locks.take(run, self._slot(found, name)) else -1

    @function
    def sht_unlock(self, run: Run, table: str, name: str) -> int:
        """Let go of the lock of an item's slot."""
        found = self.table(table)
        if found is None:
            return -1
        self.locks.release(self._slot(found, name))
        return 1

    @native(table_and_text, name="sht_lock")
    def lock_named(self, run: Run, named: Named) -> int:
        """As `sht_lock`, given `table=>name`."""
        return self.sht_lock(run, named.table, named.text.render(run)) if self.table(named.table) else NO_TABLE

    @native(table_and_text, name="sht_unlock")
    def unlock_named(self, run: Run, named: Named) -> int:
        """As `sht_unlock`, given `table=>name`."""
        return self.sht_unlock(run, named.table, named.text.render(run)) if self.table(named.table) else NO_TABLE

    # ---- for debugging

    @native()
    def sht_print(self, run: Run) -> int:
        """Write all items of all tables to the log, as errors."""
        for table in self.tables.values():
            self.node.log.error("htable %s: %d items", table.name, len(table.items))
            for key in table.ordered():
                item = table.items[key]
                self.node.log.error("htable %s: %s = %r, ends at %d", table.name, key, item.value, item.ends)
        return 1
