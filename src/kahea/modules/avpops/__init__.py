"""Working on AVPs (Kamailio's module avpops): compare, copy, count with them, put them into the request.

| file | what |
|---|---|
| `arguments.py` | what a function's arguments may be |
| `database.py` | AVPs in tables, and in columns of other modules' tables |
| here | the functions |
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.avpops.arguments import (
    CHECKS,
    OPERATIONS,
    AvpArgument,
    AvpPair,
    Every,
    Operand,
    avp_or_kind,
    avp_with,
    operand,
    pair,
    split,
    variable,
)
from kahea.modules.avpops.database import (
    DatabaseError,
    Preferences,
    Scheme,
    Source,
    Stored,
    destinations,
    parse_scheme,
    source,
    stored,
    stored_without_scheme,
)
from kahea.routing.lists import AvpName, Avps, Scalar, lists_of
from kahea.routing.literals import substitution
from kahea.routing.module import ConfigError, Module, Param, Value, function, native
from kahea.routing.pv.values import decimal
from kahea.routing.regex import RegexError, compile_posix, compile_shell
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.subst import SubstError, parse_subst
from kahea.routing.text import wire
from kahea.sip.message import Target

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

log = logging.getLogger("kahea.avpops")

_ROUTES: Final = REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE | LOCAL_ROUTE
#: 32-bit numbers, as Kamailio counts with them.
_BITS: Final = 1 << 32
_ORDER: Final = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge
}  # fmt: skip
_CACHE: Final = 1024

_CHECK_AGAINST = operand(CHECKS, "gi")
_OPERATE_WITH = operand(OPERATIONS, "gd")
_SET_IF = avp_with("esn")
_COPY_FROM = avp_with("")
_COPY_TO = avp_with("gdns")


class Pushed:
    """`$avp(name)[/g]` or another variable, as `avp_pushto` takes it."""

    def __init__(self, node: Node, given: str) -> None:
        """Raises ValueError."""
        name, *flags = split(given)
        if len(flags) > 1 or (flags and flags[0].lower() not in ("", "g")):
            raise ValueError(f"expected $variable or $avp(name)/g, not {given!r}")
        self._pv: Pv = variable(node, name)
        self._all: AvpArgument | None = avp_with("g")(node, given) if flags and self._pv.name == "avp" else None

    def values(self, run: Run) -> list[Scalar]:
        """The value, or all of an AVP."""
        if self._all is not None and "g" in self._all.flags:
            key = self._all.key(run)
            return [] if key is None else lists_of(run.msg).avps.all(key)
        value = self._pv.get(run)
        return [] if value is None else [value]


PLACES: Final = ("$ru", "$ru/username", "$ru/domain", "$du", "$br")


def place(_node: Node, given: str) -> str:
    """Where `avp_pushto` writes. Raises ValueError."""
    if given not in PLACES:
        raise ValueError(f"expected one of {', '.join(PLACES)}, not {given!r}")
    return given


class Avpops(Module):
    """Comparing, copying and counting with AVPs, and keeping them in a database."""

    name = "avpops"
    needs = ("pv",)

    db_url = Param("", "The database of the functions `avp_db_...`.")
    avp_table = Param("", "The table of AVPs.")
    use_domain = Param(0, "1 tells users of several domains apart.")
    uuid_column = Param("uuid", "The column of the owner's identifier.")
    username_column = Param("username", "The column of the owner's name.")
    domain_column = Param("domain", "The column of the owner's domain.")
    attribute_column = Param("attribute", "The column of an AVP's name.")
    type_column = Param("type", "The column of its type: 1 for a value, 2 for a name that is a number, or the sum.")
    value_column = Param("value", "The column of its value.")
    db_scheme: Param[list[Scheme]] = Param(
        [], "A column of another table: `name:table=t;uuid_col=u;value_col=c`.", many=True, check=parse_scheme
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._preferences: Preferences | None = None
        self._read = lru_cache(_CACHE)(self._read_anew)

    def start(self) -> None:
        """Prepare for the database, if there is one. Raises ConfigError."""
        if not self.db_url:
            return
        if not self.avp_table:
            raise ConfigError("parameter avpops.avp_table is needed with db_url")
        columns = (
            self.uuid_column,
            self.username_column,
            self.domain_column,
            self.attribute_column,
            self.type_column,
            self.value_column,
        )
        self._preferences = Preferences(
            self.db_url, self.avp_table, columns, self.db_scheme, use_domain=bool(self.use_domain)
        )

    async def stop(self) -> None:
        """Release the connections."""
        if self._preferences is not None:
            await self._preferences.database.close()

    def _read_anew(self, reader: Callable[[Node, str], Any], given: str) -> Any:
        return reader(self.node, given)

    def _called(self, run: Run, name: str, work: Callable[..., int], *given: tuple[Callable[..., Any], str]) -> int:
        """A function as scripts call it, whose arguments are read now; -1 where one is wrong."""
        try:
            arguments = [self._read(reader, text) for reader, text in given]
        except ValueError as error:
            self.node.log.error("%s: %s", name, error)
            return -1
        return work(run, *arguments)

    # ---- comparing

    @native("pv", _CHECK_AGAINST, name="avp_check", routes=_ROUTES)
    def check(self, run: Run, given: Pv, against: Operand) -> int:
        """As avp_check()."""
        values: list[Value] = [given.get(run)]
        if "g" in against.flags and given.name == "avp" and given.index is None:
            every = self.node.variables.compile(f"$avp({given.inner})")
            argument = self._read(avp_with(""), every.text)
            key = argument.key(run)
            values = [] if key is None else [*lists_of(run.msg).avps.all(key)]
        wanted = against.value(run)
        if wanted is None:
            return -1
        ignore = "i" in against.flags
        return 1 if any(self._compare(value, against.operator, wanted, ignore) for value in values) else -1

    @function
    def avp_check(self, run: Run, name: str, against: str) -> int:
        """Whether a variable's value, with flag `g` any of an AVP's, compares to `operator/value/flags`; `i` ignores
        case. Numbers compare to numbers only, and texts to texts."""
        return self._called(run, "avp_check", self.check, (variable, name), (_CHECK_AGAINST, against))

    def _compare(self, value: Value, test: str, wanted: int | str, ignore: bool) -> bool:
        if value is None or isinstance(value, int) != isinstance(wanted, int):
            if value is not None:
                self.node.log.error("avp_check: a number can't be compared to a text")
            return False
        if isinstance(value, int):
            assert isinstance(wanted, int)
            if test in ("and", "or", "xor"):
                return bool({"and": value & wanted, "or": value | wanted, "xor": value ^ wanted}[test])
        elif test in ("re", "fm"):
            return self._matches(value, test, str(wanted), ignore)
        one: Any = value.lower() if ignore and isinstance(value, str) else value
        other: Any = wanted.lower() if ignore and isinstance(wanted, str) else wanted
        if test in ("and", "or", "xor", "re", "fm"):
            self.node.log.error("avp_check: %s is not for %s", test, "numbers" if isinstance(value, int) else "texts")
            return False
        return bool(_ORDER[test](one, other))

    def _matches(self, value: str, test: str, pattern: str, ignore: bool) -> bool:
        try:
            if test == "re":
                return compile_posix(pattern, ignore_case=ignore).search(value) is not None
            return compile_shell(pattern, ignore_case=ignore).fullmatch(value) is not None
        except RegexError as error:
            self.node.log.error("avp_check: %r: %s", pattern, error)
            return False

    @native(_SET_IF, name="is_avp_set", routes=_ROUTES)
    def is_set(self, run: Run, given: AvpArgument) -> int:
        """As is_avp_set()."""
        key = given.key(run)
        values = [] if key is None else lists_of(run.msg).avps.all(key)
        for value in values:
            if not given.flags or ("s" in given.flags and isinstance(value, str)):
                return 1
            if ("n" in given.flags and isinstance(value, int)) or ("e" in given.flags and value == ""):
                return 1
        return -1

    @function
    def is_avp_set(self, run: Run, name: str) -> int:
        """Whether an AVP has a value: `$avp(name)/flags`, with `s` a text, `n` a number, `e` an empty text."""
        return self._called(run, "is_avp_set", self.is_set, (_SET_IF, name))

    # ---- changing

    @native(avp_or_kind, name="avp_delete", routes=_ROUTES)
    def delete(self, run: Run, given: AvpArgument | Every) -> int:
        """As avp_delete()."""
        avps = lists_of(run.msg).avps
        if isinstance(given, Every):
            names = [n for n in avps.names() if given.kind == "a" or isinstance(n, str) == (given.kind == "s")]
            for name in names:
                avps.remove(name)
            return 1 if names else -1
        key = given.key(run)
        if key is None:
            return -1
        return 1 if (avps.remove(key) if "g" in given.flags else avps.pop(key)) else -1

    @function
    def avp_delete(self, run: Run, name: str) -> int:
        """Remove the newest value of `$avp(name)`, with `/g` all; or all AVPs (`a`), those with names that are texts
        (`s`) or numbers (`i`). -1 if there is none."""
        return self._called(run, "avp_delete", self.delete, (avp_or_kind, name))

    @native(_COPY_FROM, _COPY_TO, name="avp_copy")
    def copy(self, run: Run, source: AvpArgument, destination: AvpArgument) -> int:
        """As avp_copy()."""
        avps, key, to = lists_of(run.msg).avps, source.key(run), destination.key(run)
        values = self._chosen(avps, key, "g" in destination.flags)
        if key is None or to is None or not values:
            return -1
        made = [_as_kind(value, destination.flags) for value in values]
        if None in made:
            self.node.log.error("avp_copy: a text is no number")
            return -1
        if "d" in destination.flags:
            _drop(avps, key, len(values))
        for value in made:
            assert value is not None
            avps.push(to, value)
        return 1

    @function
    def avp_copy(self, run: Run, source: str, destination: str) -> int:
        """Copy the newest value of an AVP to `$avp(name)/flags`: with `g` all, which then are in reverse, with `d` away
        from the source, with `s` as texts, with `n` as numbers. -1 if there is none."""
        return self._called(run, "avp_copy", self.copy, (_COPY_FROM, source), (_COPY_TO, destination))

    @staticmethod
    def _chosen(avps: Avps, key: AvpName | None, every: bool) -> list[Scalar]:
        values = [] if key is None else avps.all(key)
        return values if every else values[:1]

    @native(pair, _OPERATE_WITH, name="avp_op", routes=_ROUTES)
    def operate(self, run: Run, given: AvpPair, by: Operand) -> int:
        """As avp_op()."""
        avps, key = lists_of(run.msg).avps, given.source(run)
        to = key if given.destination is None else given.destination(run)
        numbers = [value for value in self._chosen(avps, key, True) if isinstance(value, int)]
        other = by.value(run)
        if key is None or to is None or not numbers:
            return -1
        if not isinstance(other, int):
            self.node.log.error("avp_op: the operand is no number")
            return -1
        results = [self._result(number, by.operator, other) for number in numbers]
        if "d" in by.flags:
            avps.remove(key)
        for result in results:
            avps.push(to, result)
        return 1

    @function
    def avp_op(self, run: Run, names: str, operation: str) -> int:
        """Count with all numbers of an AVP: `$avp(source)/$avp(destination)` and `operator/value/flags`; with `d` the
        source goes. The results are added, the first last. -1 if it has no numbers."""
        return self._called(run, "avp_op", self.operate, (pair, names), (_OPERATE_WITH, operation))

    def _result(self, number: int, how: str, by: int) -> int:
        if how in ("div", "mod") and by == 0:
            self.node.log.error("avp_op: division by 0")
            return 0
        if how == "not":
            return _narrow(~by)
        if how == "div":
            return _narrow(abs(number) // abs(by) * (1 if (number < 0) == (by < 0) else -1))
        if how == "mod":
            return _narrow(abs(number) % abs(by) * (1 if number >= 0 else -1))
        results = {"add": number + by, "sub": number - by, "mul": number * by}
        bitwise = {"and": number & by, "or": number | by, "xor": number ^ by}
        return _narrow((results | bitwise)[how])

    @native(pair, substitution, name="avp_subst", routes=_ROUTES)
    def substitute(self, run: Run, given: AvpPair, expression: str) -> int:
        """As avp_subst(); the expression stands there."""
        return self._substitute(run, given, expression, wrong=-1)

    @native(pair, "str", name="avp_subst_pv", routes=_ROUTES)
    def substitute_evaluated(self, run: Run, given: AvpPair, expression: str) -> int:
        """As avp_subst(); variables in the expression are evaluated before it is read, -3 if it can't be."""
        return self._substitute(run, given, expression, wrong=-3)

    @function
    def avp_subst(self, run: Run, names: str, expression: str) -> int:
        """Change texts of an AVP by `/match/replacement/flags`: `$avp(source)/$avp(destination)/flags`, with `g` all of
        the source's, with `d` the source goes. -1 if nothing matches."""
        work = partial(self._substitute, expression=expression, wrong=-1)
        return self._called(run, "avp_subst", work, (pair, names))

    @function
    def avp_subst_pv(self, run: Run, names: str, expression: str) -> int:
        """As avp_subst(), -3 for what is no expression."""
        work = partial(self._substitute, expression=expression, wrong=-3)
        return self._called(run, "avp_subst_pv", work, (pair, names))

    def _substitute(self, run: Run, given: AvpPair, expression: str, wrong: int) -> int:
        avps, key = lists_of(run.msg).avps, given.source(run)
        to = key if given.destination is None else given.destination(run)
        try:
            read = parse_subst(expression, self.node.variables)
            values = [] if key is None else avps.all(key)
            texts = [at for at, value in enumerate(values) if isinstance(value, str)]
            changed = {}
            for at in texts if "g" in given.flags else texts[:1]:
                result = read.apply(run, str(values[at]))
                if result is not None:
                    changed[at] = result
        except SubstError as error:
            self.node.log.error("avp_subst: %s", error)
            return wrong
        if key is None or to is None or not changed:
            return -1
        if "d" in given.flags or given.destination is None:
            avps.remove(key)
            for at in reversed(range(len(values))):
                if at not in changed:
                    avps.push(key, values[at])
        for made in changed.values():
            avps.push(to, made)
        return 1

    # ---- into the request

    @native(place, Pushed, name="avp_pushto", routes=_ROUTES)
    def push(self, run: Run, where: str, what: Pushed) -> int:
        """As avp_pushto()."""
        values = what.values(run)
        if not values or not run.msg.is_request:
            return -1
        core = self.node.module("core")
        first = str(values[0])
        if where == "$br":
            for value in values:
                if len(run.msg.branches) >= self.node.settings.max_branches - 1:
                    self.node.log.error("avp_pushto: there are too many branches")
                    return -1
                run.msg.branches.append(Target(wire(str(value))))
            return 1
        if where == "$du":
            run.msg.dst_uri = wire(first)
            return 1
        setter = {"$ru": core.seturi, "$ru/username": core.setuser, "$ru/domain": core.sethost}[where]
        return 1 if setter(run, first) else -1

    @function
    def avp_pushto(self, run: Run, where: str, what: str) -> int:
        """Write a variable's value to `$ru`, `$ru/username`, `$ru/domain`, `$du` or, as a branch, `$br`; with
        `$avp(name)/g` all of an AVP become branches. -1 if it has none."""
        return self._called(run, "avp_pushto", self.push, (place, where), (Pushed, what))

    @native(routes=_ROUTES)
    @function
    def avp_print(self, run: Run) -> int:
        """Write all AVPs to the log."""
        avps = lists_of(run.msg).avps
        for name in avps.names():
            for value in avps.all(name):
                log.info("AVP %s: %r", f"i:{name}" if isinstance(name, int) else f"s:{name}", value)
        return 1

    # ---- databases

    def _with_database(self, work: Callable[[Preferences], int]) -> int:
        """-1, and a line in the log, where there is no database or it fails."""
        if self._preferences is None:
            self.node.log.error("avp_db: the parameter avpops.db_url is not set")
            return -1
        try:
            return work(self._preferences)
        except (DatabaseError, ValueError, KeyError) as error:
            what = f"there is no scheme {error}" if isinstance(error, KeyError) else error
            self.node.log.error("avp_db: %s", what)
            return -1

    @staticmethod
    def _name(run: Run, what: Stored) -> AvpName | None:
        return None if isinstance(what.avps, Every) else what.avps.key(run)

    @native(source, stored, name="avp_db_load", routes=_ROUTES)
    def load(self, run: Run, whose: Source, what: Stored) -> int:
        """As avp_db_load()."""

        def work(preferences: Preferences) -> int:
            owner = preferences.owner(run, whose)
            found = [] if owner is None else preferences.load(owner, what, self._name(run, what))
            for name, value in found:
                lists_of(run.msg).avps.push(name, value)
            return 1 if found else -1

        return self._with_database(work)

    @function
    def avp_db_load(self, run: Run, whose: str, what: str) -> int:
        """Load AVPs of `$variable/part`: `$avp(name)`, or all (`a`, `s`, `i`), of `/table` or by `/$scheme`; -1 if
        there are none. May wait."""
        return self._called(run, "avp_db_load", self.load, (source, whose), (stored, what))

    @native(source, stored_without_scheme, name="avp_db_store", routes=_ROUTES)
    def store(self, run: Run, whose: Source, what: Stored) -> int:
        """As avp_db_store()."""

        def work(preferences: Preferences) -> int:
            owner, avps = preferences.owner(run, whose), lists_of(run.msg).avps
            names: list[AvpName] = avps.names()
            if isinstance(what.avps, Every):
                kind = what.avps.kind
                names = [name for name in names if kind == "a" or isinstance(name, str) == (kind == "s")]
            else:
                names = [name for name in names if name == self._name(run, what)]
            values = [(name, value) for name in names for value in avps.all(name)]
            if owner is None or not values:
                return -1
            preferences.store(owner, what, values)
            return 1

        return self._with_database(work)

    @function
    def avp_db_store(self, run: Run, whose: str, what: str) -> int:
        """Add AVPs to the database, as avp_db_load() loads them; -1 if there are none. May wait."""
        return self._called(run, "avp_db_store", self.store, (source, whose), (stored_without_scheme, what))

    @native(source, stored_without_scheme, name="avp_db_delete", routes=_ROUTES)
    def remove(self, run: Run, whose: Source, what: Stored) -> int:
        """As avp_db_delete()."""

        def work(preferences: Preferences) -> int:
            owner = preferences.owner(run, whose)
            if owner is None:
                return -1
            preferences.delete(owner, what, self._name(run, what))
            return 1

        return self._with_database(work)

    @function
    def avp_db_delete(self, run: Run, whose: str, what: str) -> int:
        """Remove AVPs from the database that avp_db_load() would load; 1 also if there are none. May wait."""
        return self._called(run, "avp_db_delete", self.remove, (source, whose), (stored_without_scheme, what))

    @native("str", destinations, name="avp_db_query", least=1, routes=_ROUTES)
    def query(self, run: Run, statement: str, into: list[AvpArgument] | None = None) -> int:
        """As avp_db_query()."""

        def work(preferences: Preferences) -> int:
            rows = preferences.query(statement)
            avps = lists_of(run.msg).avps
            # The first row's values are the newest.
            for row in reversed(rows):
                for at, value in enumerate(row):
                    key = at + 1 if into is None else into[at].key(run) if at < len(into) else None
                    if key is not None and isinstance(value, (int, str)):
                        avps.push(key, value)
            return 1 if rows else -2

        return self._with_database(work)

    @function
    def avp_db_query(self, run: Run, statement: str, into: str) -> int:
        """Run a statement, whose values the script must have escaped; the columns become `$avp(one);$avp(two)`, or
        without any `$avp(i:1)`, `$avp(i:2)` and so on. -2 for no rows. May wait."""
        if not into:
            return self.query(run, statement)
        return self._called(run, "avp_db_query", lambda r, to: self.query(r, statement, to), (destinations, into))


def _as_kind(value: Scalar, flags: frozenset[str]) -> Scalar | None:
    if "s" in flags:
        return str(value)
    if "n" in flags and isinstance(value, str):
        return decimal(value)
    return value


def _drop(avps: Avps, key: AvpName, count: int) -> None:
    """Remove the newest values."""
    for _ in range(count):
        avps.pop(key)


def _narrow(number: int) -> int:
    return (number + _BITS // 2) % _BITS - _BITS // 2


MODULE = Avpops
