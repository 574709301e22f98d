"""`$avp`, `$xavp`, `$xavu`, `$xavi`, and `$cnt`, which counts them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get
from kahea.routing.lists import AvpName, Lists, Xavps, Xitem, XValue, lists_of
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.syntax import scan
from kahea.routing.pv.table import Index
from kahea.routing.pv.values import decimal

if TYPE_CHECKING:
    from kahea.routing.pv import VariableTable
    from kahea.routing.run import Run

_PART = re.compile(r"\s*([^\[\]=\s][^\[\]=]*?)\s*(?:\[([^\]]*)\])?\s*\Z")


# ---- AVP


def avp_name(name: Value) -> AvpName:
    """`s:text`, `i:number` or plain text; a number given by a variable stays one. Raises PvError."""
    if isinstance(name, int):
        return name
    given = str(name)
    if given[:2] in ("s:", "S:"):
        given = given[2:]
    elif given[:2] in ("i:", "I:"):
        number = decimal(given[2:])
        if number is None:
            raise PvError(f"{given[2:]!r} is no number, which i: asks for")
        return number
    elif given[1:2] == ":":
        raise PvError(f"{given[:2]!r} is no kind of AVP name; there are s: and i:")
    if not given:
        raise PvError("an AVP needs a name")
    return given


def joined(values: list[Value]) -> Value:
    """Several values as one text; a single one stays what it is."""
    if len(values) == 1:
        return values[0]
    return ", ".join(str(value) for value in values) if values else None


def bind_avp(table: VariableTable, aliases: Mapping[str, AvpName]) -> Callable[[Value, Index], Bound]:
    """The `bind` of `$avp`."""

    def bind(name: Value, index: Index) -> Bound:
        inner = str(name)
        if inner.startswith("$"):
            return _named_by(table.compile(inner).get, index)
        return _avp(aliases[inner] if inner in aliases else avp_name(inner), index)

    return bind


def _avp(key: AvpName, index: Index) -> Bound:
    if index == "*":
        return Bound(lambda run: _all_avps(run, key), lambda run, value: _replace_avps(run, key, value))
    at = index or 0
    return Bound(
        lambda run: lists_of(run.msg).avps.get(key, at),
        lambda run, value: _push_avp(run, key, value),
    )


def _named_by(name: Get, index: Index) -> Bound:
    """An AVP whose name a variable gives: a number stays one, and a text is neither an alias nor prefixed."""

    def key(run: Run) -> AvpName:
        found = name(run)
        if found is None or found == "":
            raise PvError("the name of the AVP is null or empty")
        return found

    def get(run: Run) -> Value:
        try:
            return _avp(key(run), index).get(run)
        except PvError as error:
            run.node.log.error("%s", error)
            return None

    def put(run: Run, value: Value) -> None:
        if index == "*":
            _replace_avps(run, key(run), value)
        else:
            _push_avp(run, key(run), value)

    return Bound(get, put)


def _all_avps(run: Run, key: AvpName) -> Value:
    values: list[Value] = [*lists_of(run.msg).avps.all(key)]
    return ", ".join(str(value) for value in values) if values else None


def _replace_avps(run: Run, key: AvpName, value: Value) -> None:
    avps = lists_of(run.msg).avps
    if value is None:
        avps.remove(key)
    else:
        avps.replace(key, value)


def _push_avp(run: Run, key: AvpName, value: Value) -> None:
    """Assigning adds, at any index; null removes the newest."""
    avps = lists_of(run.msg).avps
    if value is None:
        avps.pop(key)
    else:
        avps.push(key, value)


# ---- XAVP and its kin

At = Callable[["Run"], Index]


@dataclass(frozen=True, slots=True)
class Part:
    """A name of `root[index]=>field[index]`; `at` gives its index, None where there is none."""

    name: str
    at: At
    indexed: bool


@dataclass(frozen=True, slots=True)
class Path:
    """The inner name of an `$xavp`."""

    root: Part
    field: Part | None


def parse_path(inner: str, table: VariableTable | None) -> Path:
    """Read `root[index]=>field[index]`; raises PvError. What follows a second `=>` counts for nothing."""
    root, arrow, rest = inner.partition("=>")
    field = rest.partition("=>")[0]
    if arrow and not field.strip():
        raise PvError("expected a field's name after =>")
    return Path(_part(root, table), _part(field, table) if arrow else None)


def _part(text: str, table: VariableTable | None) -> Part:
    found = _PART.match(text)
    if found is None:
        raise PvError(f"{text!r} is not name or name[index]")
    raw = found[2]
    if raw is None:
        return Part(found[1], lambda _run: 0, False)
    if raw == "*":
        return Part(found[1], lambda _run: "*", True)
    if raw.startswith("$") and table is not None:
        get = table.compile(raw).get
        return Part(found[1], lambda run: _as_index(get(run)), True)
    number = decimal(raw)
    if number is None:
        raise PvError(f"{raw!r} is no index")
    return Part(found[1], lambda _run: number, True)


def _as_index(value: Value) -> Index:
    if isinstance(value, str):
        value = decimal(value)
    if value is None:
        raise PvError("the index is no number")
    return value


def plain_value(value: XValue) -> Value:
    """An entry's value as a script sees it; a list of fields is an opaque text."""
    if isinstance(value, Xavps):
        return f"<<xavp:{id(value):#x}>>" if value.items else "<<xavp:(nil)>>"
    return value


def _item(xavps: Xavps, part: Part, run: Run) -> Xitem | None:
    index = part.at(run)
    return xavps.find(part.name, 0 if index == "*" or index is None else index)


def _fields(xavps: Xavps, root: Part, run: Run) -> Xavps | None:
    item = _item(xavps, root, run)
    return None if item is None else item.fields


Pick = Callable[["Run"], Xavps]


def _get_path(pick: Pick, path: Path) -> Get:
    root, field = path.root, path.field

    def get(run: Run) -> Value:
        xavps: Xavps | None = pick(run)
        try:
            if field is not None:
                xavps = _fields(pick(run), root, run)
                if xavps is None:
                    return None
            assert xavps is not None
            part = field or root
            if part.at(run) == "*" and field is not None:
                return joined([plain_value(item.value) for item in xavps.all(part.name)])
            item = _item(xavps, part, run)
        except PvError:
            return None
        return None if item is None else plain_value(item.value)

    return get


def _put(xavps: Xavps, part: Part, value: Value, run: Run, strict: bool) -> None:
    """Without an index add an entry, with one change it; null removes."""
    index = part.at(run)
    if value is None:
        if index == "*":
            xavps.remove_all(part.name)
        else:
            xavps.remove(part.name, index or 0)
        return
    if not part.indexed:
        xavps.push(part.name, value)
        return
    item = None if index == "*" else xavps.find(part.name, index or 0)
    if item is not None:
        item.value = value
    elif strict:
        raise PvError(f"there is no {part.name}[{index}]")


def _put_path(pick: Pick, path: Path) -> Callable[[Run, Value], None]:
    root, field = path.root, path.field

    def put(run: Run, value: Value) -> None:
        xavps = pick(run)
        if field is None:
            _put(xavps, root, value, run, True)
        elif value is None:
            fields = None if root.at(run) == "*" else _fields(xavps, root, run)
            if fields is not None:
                _put(fields, field, None, run, False)
        elif not root.indexed:
            item = xavps.push(root.name, Xavps(xavps.fold))
            xavps.fields_of(item).push(field.name, value)
        elif root.at(run) != "*":
            item_at = _item(xavps, root, run)
            if item_at is not None:
                _put(xavps.fields_of(item_at), field, value, run, False)

    return put


def _bind_stacked(pick: Pick, table: VariableTable) -> Callable[[Value, Index], Bound]:
    def bind(name: Value, _index: Index) -> Bound:
        path = parse_path(str(name), table)
        return Bound(_get_path(pick, path), _put_path(pick, path))

    return bind


def _bind_single(pick: Pick) -> Callable[[Value, Index], Bound]:
    """`$xavu`: one value for a name, and one for a field."""

    def bind(name: Value, _index: Index) -> Bound:
        root, arrow, field = (part.strip() for part in str(name).partition("=>"))
        if not root or (arrow and not field):
            raise PvError("expected name or name=>field")

        def get(run: Run) -> Value:
            item = pick(run).find(root)
            if item is None or not arrow:
                return None if item is None else plain_value(item.value)
            return plain_value(item.fields.get(field)) if item.fields is not None else None

        def put(run: Run, value: Value) -> None:
            xavus = pick(run)
            if value is None:
                holder = xavus if not arrow else (item.fields if (item := xavus.find(root)) else None)
                if holder is not None:
                    holder.remove(field or root)
            elif arrow:
                xavus.make(root).set(field, value)
            else:
                xavus.set(root, value)

        return Bound(get, put)

    return bind


# ---- counting


def _count_path(pick: Pick, path: Path) -> Get:
    root = path.root
    field = path.field

    def chosen(xavps: Xavps, part: Part, run: Run) -> list[Xitem]:
        index = part.at(run) if part.indexed else "*"
        if index == "*":
            return xavps.all(part.name)
        item = xavps.find(part.name, index or 0)
        return [] if item is None else [item]

    def get(run: Run) -> Value:
        try:
            items = chosen(pick(run), root, run)
            if field is None:
                return len(items)
            return sum(len(chosen(item.fields, field, run)) for item in items if item.fields is not None)
        except PvError:
            return None

    return get


def _bind_count(table: VariableTable, aliases: Mapping[str, AvpName]) -> Callable[[Value, Index], Bound]:
    picks: dict[str, Pick] = {"xavp": _xavps, "xavi": _xavis, "xavu": _xavus}

    def bind(name: Value, _index: Index) -> Bound:
        text = str(name)
        parts = scan(text)
        inner = parts.inner or ""
        if parts.end != len(text) or not inner or parts.name not in ("avp", *picks):
            raise PvError("$cnt takes an AVP or XAVP, as in $cnt($avp(x))")
        if parts.name != "avp":
            return Bound(_count_path(picks[parts.name], parse_path(inner, table)))
        if inner.startswith("$"):
            name_of = table.compile(inner).get
            return Bound(lambda run: lists_of(run.msg).avps.count(name_of(run) or ""))
        key = aliases[inner] if inner in aliases else avp_name(inner)
        return Bound(lambda run: lists_of(run.msg).avps.count(key))

    return bind


def _xavps(run: Run) -> Xavps:
    return lists_of(run.msg).xavps


def _xavus(run: Run) -> Xavps:
    return lists_of(run.msg).xavus


def _xavis(run: Run) -> Xavps:
    return lists_of(run.msg).xavis


def variables(table: VariableTable, aliases: Mapping[str, AvpName]) -> list[Variable]:
    """The list variables of one node. `aliases` are the names that `avp_aliases` declared."""
    return [
        named("avp", bind_avp(table, aliases), index=True, writable=True, doc="An attribute-value pair."),
        named(
            "xavp",
            _bind_stacked(_xavps, table),
            writable=True,
            doc="An XAVP: a stack of values or of fields.",
        ),
        named("xavi", _bind_stacked(_xavis, table), writable=True, doc="An XAVP whose names match in any case."),
        named("xavu", _bind_single(_xavus), writable=True, doc="An XAVP with a single value for each name."),
        named("cnt", _bind_count(table, aliases), doc="How many values an AVP or XAVP has."),
    ]


__all__ = ["Lists", "avp_name", "bind_avp", "joined", "parse_path", "plain_value", "variables"]
