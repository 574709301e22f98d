"""What the operators of the language do where a script's text does not tell the types."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.limits import checked_length
from kahea.engines.squirrel.runtime.numbers import MAX, MIN, shown, single, wrapped
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

# ---- text


def text_of(value: Any) -> str:
    """A value as text (`tostring`). Raises Thrown."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int:
        return str(value)
    if kind is float:
        return shown(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if (method := metamethod(value, "_tostring")) is not None and type(found := method(value)) is str:
        return str(found)
    return f"({type_name(value)} : 0x{id(value):#x})"


def brief(value: Any) -> str:
    """A value as errors show it: the type of what is neither text nor number."""
    if type(value) is float:
        return f"{value:.14g}"
    return text_of(value) if type(value) in (int, str) else type_name(value)


def type_of(value: Any) -> Any:
    """`typeof value`."""
    method = metamethod(value, "_typeof")
    return type_name(value) if method is None else method(value)


# ---- comparing


def truth(value: Any) -> bool:
    """Whether a value is true: all but null, false, 0 and 0.0."""
    return bool(value) or value == ""


def equal(left: Any, right: Any) -> bool:
    """`left == right`."""
    return bool(left == right) and (type(left) is type(right) or not (type(left) is bool or type(right) is bool))


def order(left: Any, right: Any) -> int:
    """Below, at or above 0 as one value comes before, with or after another. Raises Thrown."""
    kind = type(left)
    other = type(right)
    if kind is other:
        if kind is int or kind is float or kind is str or kind is bool:
            return -1 if left < right else int(left > right)
        if left is right:
            return 0
        if (method := metamethod(left, "_cmp")) is not None:
            found = method(left, right)
            if type(found) is not int:
                raise Thrown("_cmp must return an integer")
            return int(found)
        return -1 if id(left) < id(right) else 1
    if kind in _NUMBERS and other in _NUMBERS:
        return -1 if left < right else int(left > right)
    if left is None:
        return -1
    if right is None:
        return 1
    raise Thrown(f"comparison between '{brief(left)}' and '{brief(right)}'")


_NUMBERS: Final = frozenset({int, float})


def less(left: Any, right: Any) -> bool:
    """`left < right`."""
    if type(left) is int and type(right) is int:
        return left < right
    return order(left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    """`left <= right`."""
    if type(left) is int and type(right) is int:
        return left <= right
    return order(left, right) <= 0


def greater(left: Any, right: Any) -> bool:
    """`left > right`."""
    if type(left) is int and type(right) is int:
        return left > right
    return order(left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    """`left >= right`."""
    if type(left) is int and type(right) is int:
        return left >= right
    return order(left, right) >= 0


def three_way(left: Any, right: Any) -> int:
    """`left <=> right`: for texts, the difference of the first bytes that differ."""
    if type(left) is str and type(right) is str:
        for one, other in zip(left, right, strict=False):
            if one != other:
                return ord(one) - ord(other)
        shorter = min(len(left), len(right))
        return sum(map(ord, left[shorter : shorter + 1])) - sum(map(ord, right[shorter : shorter + 1]))
    return order(left, right)


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


# ---- arithmetic


def add(left: Any, right: Any) -> Any:
    """`left + right`. Raises Thrown, as do all below."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        found = left + right
        return found if MIN <= found <= MAX else wrapped(found)
    if kind is str or other is str:
        return joined(text_of(left), text_of(right))
    if kind in _NUMBERS and other in _NUMBERS:
        return single(single(left) + single(right))
    return _overloaded("+", "_add", left, right)


def joined(left: str, right: str) -> str:
    """Two texts as one."""
    found = left + right
    return checked_length(found) if len(found) > 65536 else found


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return wrapped(left - right)
    if kind in _NUMBERS and other in _NUMBERS:
        return single(single(left) - single(right))
    return _overloaded("-", "_sub", left, right)


def multiply(left: Any, right: Any) -> Any:
    """`left * right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return wrapped(left * right)
    if kind in _NUMBERS and other in _NUMBERS:
        return single(single(left) * single(right))
    return _overloaded("*", "_mul", left, right)


def divide(left: Any, right: Any) -> Any:
    """`left / right`: towards 0 for integers."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        if right == 0:
            raise Thrown("division by zero")
        if right == -1 and left == MIN:
            raise Thrown("integer overflow")
        found: int = abs(left) // abs(right)
        return found if (left < 0) == (right < 0) else -found
    if kind in _NUMBERS and other in _NUMBERS:
        return _divided(single(left), single(right))
    return _overloaded("/", "_div", left, right)


def _divided(left: float, right: float) -> float:
    if right:
        return single(left / right)
    if not left or left != left:
        return -math.nan  # as x86 makes it
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(left: Any, right: Any) -> Any:
    """`left % right`, with the sign of the left one."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        if right == 0:
            raise Thrown("modulo by zero")
        found: int = abs(left) % abs(right)
        return -found if left < 0 else found
    if kind in _NUMBERS and other in _NUMBERS:
        if not right or math.isinf(left):
            return -math.nan
        return single(math.fmod(single(left), single(right)))
    return _overloaded("%", "_modulo", left, right)


def _overloaded(sign: str, name: str, left: Any, right: Any) -> Any:
    method = metamethod(left, name)
    if method is None:
        raise Thrown(f"arith op {sign} on between '{type_name(left)}' and '{type_name(right)}'")
    return method(left, right)


def negate(value: Any) -> Any:
    """`-value`."""
    if type(value) is int:
        return wrapped(-value)
    if type(value) is float:
        return -value
    if (method := metamethod(value, "_unm")) is not None:
        return method(value)
    raise Thrown(f"attempt to negate a {type_name(value)}")


def invert(value: Any) -> int:
    """`~value`."""
    if type(value) is not int:
        raise Thrown(f"attempt to perform a bitwise op on a {type_name(value)}")
    return ~value


def _bits(work: Callable[[int, int], int]) -> Callable[[Any, Any], int]:
    def operation(left: Any, right: Any) -> int:
        if type(left) is not int or type(right) is not int:
            raise Thrown(f"bitwise op between '{type_name(left)}' and '{type_name(right)}'")
        return work(left, right)

    return operation


bits_and: Final = _bits(lambda left, right: left & right)
bits_or: Final = _bits(lambda left, right: left | right)
bits_xor: Final = _bits(lambda left, right: left ^ right)
shift_left: Final = _bits(lambda left, right: wrapped(left << (right & 63)))
shift_right: Final = _bits(lambda left, right: left >> (right & 63))
shift_right_unsigned: Final = _bits(lambda left, right: wrapped((left & 0xFFFFFFFFFFFFFFFF) >> (right & 63)))

# ---- slots

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
        if type(value) not in (Array, str) or type(key) not in _NUMBERS:
            found = _inherited(value, key)
        if found is MISSING:
            raise _missing(key)
    return found


def _raw(value: Any, key: Any) -> Any:
    """A slot of the value itself, or MISSING."""
    kind = type(value)
    if kind is Array or kind is str:
        if type(key) not in _NUMBERS:
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
        if type(key) not in _NUMBERS:
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
