"""Slots of values: getting, setting, making and deleting them, and going through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from kahea.engines.squirrel.runtime.arithmetic import add
from kahea.engines.squirrel.runtime.comparison import NUMBERS, brief
from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.numbers import MAX, MIN
from kahea.engines.squirrel.runtime.values import (
    MISSING,
    Array,
    Class,
    Fixed,
    Generating,
    Instance,
    Table,
    key_of,
    metamethod,
    slot_of,
    type_name,
)

FIXED: Final = "KSR and what it has can't be changed"
#: The functions that values have by their type, such as `len`; `delegates` fills them in.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {}


def _missing(key: Any) -> Thrown:
    return Thrown(f"the index '{brief(key)}' does not exist")


def member(value: Any, name: str) -> Any:
    """`value.name`. Raises Thrown."""
    kind = type(value)
    if kind is str or kind is Array:
        found = DEFAULTS["string" if kind is str else "array"].get(name, MISSING)
        if found is not MISSING:
            return found
    elif kind is Table or kind is Fixed or kind is Class:
        found = value.get(name, MISSING)
        if found is not MISSING:
            return found
    elif kind is Instance:
        found = value.get(name, MISSING)
        if found is MISSING:
            found = value.of.get(name, MISSING)
        if found is not MISSING:
            return found
    found = _inherited(value, name)
    if found is MISSING:
        raise _missing(name)
    return found


def index(value: Any, key: Any) -> Any:
    """`value[key]`. Raises Thrown."""
    if type(value) is Array and type(key) is int and 0 <= key < len(value):
        return value[key]
    found = _raw(value, key)
    if found is MISSING:
        if type(value) not in (Array, str) or type(key) not in NUMBERS:
            found = _inherited(value, key)
        if found is MISSING:
            raise _missing(key)
    return found


def _raw(value: Any, key: Any) -> Any:
    """A slot of the value itself, or MISSING."""
    kind = type(value)
    if kind is Array or kind is str:
        if type(key) not in NUMBERS:
            return MISSING
        at = int(key) if MIN <= key <= MAX else -1
        size = len(value)
        if kind is Array:
            return value[at] if 0 <= at < size else MISSING
        at += size if at < 0 else 0
        return signed(value[at]) if 0 <= at < size else MISSING
    if kind is Table or kind is Fixed or kind is Class:
        return value.get(key_of(key), MISSING)
    if kind is Instance:
        found = value.get(key_of(key), MISSING)
        return value.of.get(key_of(key), MISSING) if found is MISSING else found
    return MISSING


def signed(character: str) -> int:
    """A byte of a string as a number (C's `char`)."""
    code = ord(character)
    return code - 256 if code > 127 else code


def _inherited(value: Any, key: Any) -> Any:
    """What a value has by its delegate, its `_get`, or its type; MISSING for nothing."""
    if type(value) is Table and value.delegate is not None:
        found = _raw(value.delegate, key)
        if found is MISSING:
            found = _inherited(value.delegate, key)
        if found is not MISSING:
            return found
    if (method := metamethod(value, "_get")) is not None:
        try:
            return method(value, key)
        except Thrown as error:
            if error.value is not None:  # `throw null` says that there is none
                raise
    if type(key) is str:
        return DEFAULTS[type_name(value)].get(key, MISSING)
    return MISSING


def inherited_slot(table: Table, key: Any) -> Any:
    """A slot that the table itself has not. Raises Thrown."""
    found = _inherited(table, key)
    if found is MISSING:
        raise _missing(key)
    return found


def named(this: Any, name: str, root: Table) -> Any:
    """A slot of `this`, or of the root table. Raises Thrown."""
    kind = type(this)
    found = this.get(name, MISSING) if kind is Instance or kind is Table else MISSING
    if found is MISSING:
        found = _raw(this, name)
        if found is MISSING:
            found = _inherited(this, name)
        if found is MISSING:
            found = root.get(name, MISSING)
            if found is MISSING:
                raise _missing(name)
    return found


def keep_ksr(value: Any, key: Any) -> None:
    """Refuse to change where the root table has KSR, since calls of its functions are bound. Raises Thrown."""
    if key == "KSR" and type(value) is Table and type(value.get("KSR")) is Fixed:
        raise Thrown(FIXED)


def set_member(value: Any, key: Any, to: Any) -> Any:
    """`value[key] = to`; gives `to`. Raises Thrown."""
    if type(value) is Table and type(key) is str and key in value and key != "KSR":
        value[key] = to
    elif not _set(value, key, to):
        raise _missing(key)
    return to


def set_named(this: Any, name: str, to: Any, root: Table) -> Any:
    """Set a slot of `this`, or of the root table, that is there; gives `to`. Raises Thrown."""
    if not _set(this, name, to):
        if name not in root:
            raise _missing(name)
        set_member(root, name, to)
    return to


def _set(value: Any, key: Any, to: Any) -> bool:
    kind = type(value)
    if kind is Table or kind is Instance:
        keep_ksr(value, key)
        item = key_of(key)
        if item in value:
            value[item] = to
            return True
        if kind is Table and value.delegate is not None and _set(value.delegate, key, to):
            return True
        return _set_by_method(value, key, to)
    if kind is Array:
        if type(key) not in NUMBERS:
            raise Thrown(f"indexing {type_name(value)} with {type_name(key)}")
        if not 0 <= key < len(value):
            raise _missing(key)
        value[int(key)] = to
        return True
    if kind is Fixed:
        raise Thrown(FIXED)
    raise Thrown(f"trying to set '{type_name(value)}'")


def _set_by_method(value: Any, key: Any, to: Any) -> bool:
    method = metamethod(value, "_set")
    if method is None:
        return False
    try:
        method(value, key, to)
    except Thrown as error:
        if error.value is not None:
            raise
        return False
    return True


def new_slot(value: Any, key: Any, to: Any, static: bool = False) -> Any:
    """`value[key] <- to`; gives `to`. Raises Thrown."""
    if key is None:
        raise Thrown("null cannot be used as index")
    keep_ksr(value, key)
    kind = type(value)
    if kind is Table:
        item = key_of(key)
        method = metamethod(value, "_newslot") if item not in value else None
        if method is None:
            value[item] = to
        else:
            method(value, key, to)
    elif kind is Class:
        value.add(key, to, static)
    elif kind is Instance:
        method = metamethod(value, "_newslot")
        if method is None:
            raise Thrown("class instances do not support the new slot operator")
        method(value, key, to)
    elif kind is Fixed:
        raise Thrown(FIXED)
    else:
        raise Thrown(f"indexing {type_name(value)} with {type_name(key)}")
    return to


def delete(value: Any, key: Any) -> Any:
    """`delete value[key]`: what it was. Raises Thrown."""
    keep_ksr(value, key)
    kind = type(value)
    if kind is Table or kind is Instance:
        if (method := metamethod(value, "_delslot")) is not None:
            return method(value, key)
        if kind is Table:
            found = value.pop(key_of(key), MISSING)
            if found is MISSING:
                raise _missing(key)
            return found
    if kind is Fixed:
        raise Thrown(FIXED)
    raise Thrown(f"attempt to delete a slot from a {type_name(value)}")


def change(value: Any, key: Any, operation: Callable[[Any, Any], Any], by: Any) -> Any:
    """`value[key] += by` and its kin; gives the new value. Raises Thrown."""
    return set_member(value, key, operation(index(value, key), by))


def change_named(this: Any, name: str, operation: Callable[[Any, Any], Any], by: Any, root: Table) -> Any:
    """As `change`, for a slot of `this` or of the root table."""
    return set_named(this, name, operation(named(this, name, root), by), root)


def step(value: Any, key: Any, by: int) -> Any:
    """`value[key]++`: what it was. Raises Thrown."""
    was = index(value, key)
    set_member(value, key, add(was, by))
    return was


def step_named(this: Any, name: str, by: int, root: Table) -> Any:
    """As `step`, for a slot of `this` or of the root table."""
    was = named(this, name, root)
    set_named(this, name, add(was, by), root)
    return was


# ---- making


def clone(value: Any) -> Any:
    """`clone value`. Raises Thrown."""
    kind = type(value)
    if kind is Array:
        return Array(value)
    if kind is Table or kind is Fixed:
        made: Any = Table(value, value.delegate)
    elif kind is Instance:
        made = Instance(value)
        made.of = value.of
        if hasattr(value, "payload"):
            made.payload = value.payload
    else:
        raise Thrown(f"cloning a {type_name(value)}")
    if (method := metamethod(made, "_cloned")) is not None:
        method(made, value)
    return made


def make_table(slots: Iterable[tuple[Any, Any]]) -> Table:
    """A table of keys that the text does not tell. Raises Thrown."""
    made = Table()
    for key, value in slots:
        new_slot(made, key, value)
    return made


def make_class(base: Any, attributes: Table | None, slots: Iterable[tuple[Any, Any, bool, Table | None]]) -> Class:
    """A class of key, value, whether it is static, and attributes of each member. Raises Thrown."""
    if base is not None and type(base) is not Class:
        raise Thrown("trying to inherit from a " + type_name(base))
    made = Class(base)
    made.own_attributes = attributes
    if base is not None and (inherited := base.metamethods.get("_inherited")) is not None:
        inherited(made, attributes)
    for key, value, static, own in slots:
        if (method := made.metamethods.get("_newmember")) is not None:
            method(made, key, value, own, static)
        else:
            new_slot(made, key, value, static)
        if own is not None:
            made.attributes[key_of(key)] = own
    return made


def initialise(value: Any, slots: Iterable[tuple[Any, Any]]) -> Any:
    """`call() { key = value }`: gives what the call did. Raises Thrown."""
    for key, to in slots:
        set_member(value, key, to)
    return value


# ---- going through


def each(container: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values, as `foreach` has them. Raises Thrown."""
    kind = type(container)
    if kind is Array:
        return enumerate(container)
    if kind is Table or kind is Fixed or kind is Class:
        return _slots(container)
    if kind is str:
        return ((at, signed(character)) for at, character in enumerate(container))
    if kind is Generating:
        return container.each()  # type: ignore[no-any-return]
    if kind is Instance and (method := metamethod(container, "_nexti")) is not None:
        return _by_method(container, method)
    raise Thrown(f"cannot iterate {type_name(container)}")


def _slots(table: Any) -> Iterator[tuple[Any, Any]]:
    """Those that were there at the beginning and still are."""
    for item in list(table):
        value = table.get(item, MISSING)
        if value is not MISSING:
            yield slot_of(item), value


def _by_method(container: Any, method: Any) -> Iterator[tuple[Any, Any]]:
    key = None
    while (key := method(container, key)) is not None:
        yield key, index(container, key)


# ---- asking


def exists(key: Any, container: Any) -> bool:
    """`key in container`."""
    return _raw(container, key) is not MISSING


def instance_of(value: Any, of: Any) -> bool:
    """`value instanceof of`. Raises Thrown."""
    if type(of) is not Class:
        raise Thrown(f"cannot apply instanceof between a {type_name(value)} and a {type_name(of)}")
    found = value.of if type(value) is Instance else None
    while found is not None and found is not of:
        found = found.base
    return found is of
