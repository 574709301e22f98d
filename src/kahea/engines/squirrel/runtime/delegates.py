"""The functions that values have by their type: `len`, `slice`, `append` and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kahea.engines.squirrel.runtime import numbers
from kahea.engines.squirrel.runtime.comparison import equal, order, text_of, truth
from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.limits import Running, checked_size
from kahea.engines.squirrel.runtime.parameters import checked, refused
from kahea.engines.squirrel.runtime.slots import DEFAULTS, FIXED, delete, each, keep_ksr
from kahea.engines.squirrel.runtime.values import (
    MISSING,
    Array,
    Based,
    Bound,
    Class,
    Instance,
    Table,
    key_of,
    slot_of,
    type_name,
)

# ---- all values


def _len(this: Any) -> int:
    return len(this)


def _tostring(this: Any) -> str:
    return text_of(this)


def _weakref(_this: Any) -> Any:
    raise Thrown("weakref() is not available: what nothing else holds may stay for a while here")


# ---- numbers and strings


def _tointeger(this: Any, base: Any = 10) -> int:
    if type(this) is str:
        found = numbers.number_in(this, numbers.to_integer(base))
        if found is None:
            raise Thrown("cannot convert the string")
        return numbers.to_integer(found)
    return numbers.to_integer(this)


def _tofloat(this: Any) -> float:
    if type(this) is str:
        found = numbers.number_in(this)
        if found is None:
            raise Thrown("cannot convert the string")
        return numbers.single(float(found))
    return numbers.single(float(this))


def _number_tointeger(this: Any) -> int:
    return numbers.to_integer(this)


def _tochar(this: Any) -> str:
    return chr(numbers.to_integer(this) & 255)


def _span(this: Any, start: Any, end: Any) -> tuple[int, int]:
    size = len(this)
    first = numbers.to_integer(start) if start is not None else 0
    last = size if end is MISSING else numbers.to_integer(end)
    first += size if first < 0 else 0
    last += size if last < 0 else 0
    if last < first:
        raise Thrown("wrong indexes")
    if last > size or first < 0:
        raise Thrown("slice out of range")
    return first, last


def _string_slice(this: str, start: Any = 0, end: Any = MISSING) -> str:
    first, last = _span(this, start, end)
    return this[first:last]


def _string_find(this: str, what: str, start: Any = 0) -> int | None:
    begin = start if type(start) is int else numbers.to_integer(start)
    if not 0 <= begin < len(this):
        return None
    found = this.find(what, begin)
    return None if found < 0 else found


def _mapped(table: dict[int, str]) -> Callable[..., str]:
    def change(this: str, start: Any = 0, end: Any = MISSING) -> str:
        first, last = _span(this, start, end)
        return this[:first] + this[first:last].translate(table) + this[last:]

    return change


_LOWER = {code: chr(code + 32) for code in range(65, 91)}
_UPPER = {code + 32: chr(code) for code in range(65, 91)}

# ---- tables


def _rawget(this: Any, key: Any) -> Any:
    found = this.get(key_of(key), MISSING)
    if found is MISSING and type(this) is Instance:
        found = this.of.get(key_of(key), MISSING)
    if found is MISSING:
        raise Thrown("the index doesn't exist")
    return found


def _rawset(this: Any, key: Any, value: Any) -> Any:
    keep_ksr(this, key)
    if type(this) is Class:
        this.add(key, value)
    elif type(this) is Table:
        if key is None:
            raise Thrown("null key")
        this[key_of(key)] = value
    elif type(this) is Instance:
        if key_of(key) not in this:
            raise Thrown("the index doesn't exist")
        this[key_of(key)] = value
    else:
        raise Thrown(FIXED)
    return this


def _rawin(this: Any, key: Any) -> bool:
    return key_of(key) in this or (type(this) is Instance and key_of(key) in this.of)


def _rawdelete(this: Any, key: Any) -> Any:
    keep_ksr(this, key)
    if type(this) is not Table:
        return delete(this, key)
    return this.pop(key_of(key), None)


def _setdelegate(this: Any, delegate: Any) -> Any:
    if delegate is not None and type(delegate) is not Table:
        kind = type_name(delegate)
        raise Thrown(f"parameter 1 has an invalid type '{kind}' ; expected: 'null|table'")
    if type(this) is not Table:
        raise Thrown(FIXED)
    above = delegate
    while above is not None:
        if above is this:
            raise Thrown("delegate cycle")
        above = above.delegate
    this.delegate = delegate
    return this


def _getdelegate(this: Any) -> Any:
    return this.delegate


def _clear(this: Any) -> Any:
    keep_ksr(this, "KSR")
    if type(this) not in (Table, Array):
        raise Thrown(FIXED)
    this.clear()
    return this


def _table_filter(this: Any, function: Any) -> Table:
    made = Table()
    for key, value in each(this):
        Running.tick()
        if truth(function(this, key, value)):
            made[key_of(key)] = value
    return made


def _keys(this: Any) -> Array:
    return Array(slot_of(item) for item in this)


def _values(this: Any) -> Array:
    return Array(this.values())


# ---- arrays


def _append(this: Array, value: Any) -> Array:
    this.append(value)
    return this


def _extend(this: Array, other: Array) -> Array:
    checked_size(len(this) + len(other))
    this += other
    return this


def _pop(this: Array) -> Any:
    if not len(this):
        raise Thrown("empty array")
    return this.pop()


def _top(this: Array) -> Any:
    if not len(this):
        raise Thrown("top() on an empty array")
    return this[-1]


def _insert(this: Array, at: Any, value: Any) -> Array:
    place = numbers.to_integer(at)
    if not 0 <= place <= len(this):
        raise Thrown("index out of range")
    this.insert(place, value)
    return this


def _remove(this: Array, at: Any) -> Any:
    place = numbers.to_integer(at)
    if not 0 <= place < len(this):
        raise Thrown("idx out of range")
    return this.pop(place)


def _resize(this: Array, size: Any, fill: Any = None) -> Array:
    wanted = checked_size(numbers.to_integer(size))
    if wanted < 0:
        raise Thrown("resizing to negative length")
    del this[wanted:]
    this += [fill] * (wanted - len(this))
    return this


def _reverse(this: Array) -> Array:
    this.reverse()
    return this


def _array_slice(this: Array, start: Any = 0, end: Any = MISSING) -> Array:
    first, last = _span(this, start, end)
    return Array(this[first:last])


def _sort(this: Array, function: Any = None) -> Array:
    """Heap sort: the order of equal values is as in Squirrel, and a function may be inconsistent."""
    compare = order if function is None else _comparing(function)
    size = len(this)
    for start in range(size // 2, -1, -1):
        _sift(this, start, size - 1, compare)
    for end in range(size - 1, 0, -1):
        this[0], this[end] = this[end], this[0]
        _sift(this, 0, end - 1, compare)
    return this


def _comparing(function: Any) -> Callable[[Any, Any], int]:
    root = getattr(function, "__globals__", {}).get("_sq_root")

    def compare(left: Any, right: Any) -> int:
        found = function(root, left, right)
        if type(found) not in (int, float):
            raise Thrown("numeric value expected as return value of the compare function")
        return numbers.to_integer(found)

    return compare


def _sift(array: Array, root: int, bottom: int, compare: Callable[[Any, Any], int]) -> None:
    while (child := root * 2) <= bottom:
        Running.tick()
        if child < bottom and compare(_at(array, child), _at(array, child + 1)) <= 0:
            child += 1
        if compare(_at(array, root), _at(array, child)) >= 0:
            return
        if root == child:
            raise Thrown("inconsistent compare function")
        array[root], array[child] = array[child], array[root]
        root = child


def _at(array: Array, place: int) -> Any:
    if place >= len(array):
        raise Thrown("the array was changed while it was sorted")
    return array[place]


def _count_of(function: Any) -> int:
    """How many arguments `map` gives a function."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & 4:
        return 1
    return max(1, min(int(code.co_argcount) - 1, 3))


def _each_of(this: Array, function: Any) -> list[Any]:
    count = _count_of(function)
    made = []
    for at, value in enumerate(list(this)):
        Running.tick()
        made.append(function(this, *(value, at, this)[:count]))
    return made


def _map(this: Array, function: Any) -> Array:
    return Array(_each_of(this, function))


def _apply(this: Array, function: Any) -> Array:
    this[:] = _each_of(this, function)
    return this


def _reduce(this: Array, function: Any, first: Any = MISSING) -> Any:
    values = list(this)
    if first is MISSING:
        if not values:
            return None
        first, *values = values
    for value in values:
        Running.tick()
        first = function(this, first, value)
    return first


def _array_filter(this: Array, function: Any) -> Array:
    made = Array()
    for at, value in enumerate(list(this)):
        Running.tick()
        if truth(function(this, at, value)):
            made.append(value)
    return made


def _array_find(this: Array, wanted: Any) -> int | None:
    for at, value in enumerate(this):
        Running.tick()
        if equal(value, wanted):
            return at
    return None


# ---- functions


def _call(this: Any, env: Any, *args: Any) -> Any:
    return this(env, *args)


def _acall(this: Any, args: Array) -> Any:
    if not len(args):
        raise Thrown("wrong number of parameters (0 passed, 1 required)")
    return this(*args)


def _bindenv(this: Any, env: Any) -> Any:
    if type_name(env) not in ("table", "class", "instance"):
        raise Thrown(f"parameter 1 has an invalid type '{type_name(env)}' ; expected: 'table|class|instance'")
    return Bound(this.function if type(this) is Bound else this, env)


def _getinfos(this: Any) -> Table:
    function = this
    while True:
        if type(function) is Bound:
            function = function.function
        elif type(function) is Based:
            function = function.make(None)
        elif hasattr(function, "generating"):
            function = function.generating
        else:
            break
    code = getattr(function, "__code__", None)
    if code is None or "_sq_root" not in function.__globals__:
        name = getattr(function, "__name__", None)
        return Table({"native": True, "name": name, "paramscheck": 0, "typecheck": None})
    count = code.co_argcount
    parameters = list(code.co_varnames[:count])
    varies = bool(code.co_flags & 4)
    return Table(
        {
            "native": False,
            "name": None if code.co_name == "function" else code.co_name,
            "src": code.co_filename,
            "parameters": Array([*parameters, *(["vargv", "..."] if varies else [])]),
            "varargs": int(varies),
            "defparams": Array(function.__defaults__ or ()),
        }
    )


# ---- classes, instances, generators


def _instance(this: Class) -> Instance:
    return this.instance()


def _getbase(this: Class) -> Class | None:
    return this.base


def _newmember(this: Class, key: Any, value: Any, attributes: Any = None, static: Any = False) -> None:
    this.add(key, value, truth(static))
    if attributes is not None:
        this.attributes[key_of(key)] = attributes


def _getattributes(this: Class, key: Any) -> Any:
    if key is None:
        return this.own_attributes
    if key_of(key) not in this:
        raise Thrown("wrong index")
    return this.attributes.get(key_of(key))


def _setattributes(this: Class, key: Any, attributes: Any) -> Any:
    was = _getattributes(this, key)
    if key is None:
        this.own_attributes = attributes
    else:
        this.attributes[key_of(key)] = attributes
    return was


def _getclass(this: Instance) -> Class:
    return this.of


def _getstatus(this: Any) -> str:
    return str(this.status)


COMMON = {"tostring": _tostring, "weakref": _weakref}
_NUMBER = {**COMMON, "tointeger": _number_tointeger, "tofloat": _tofloat, "tochar": _tochar}
_SLOTS = {**COMMON, "rawget": _rawget, "rawset": _rawset, "rawin": _rawin}
_ROOTS = {name: refused(name, "there is one root table") for name in ("getroot", "setroot")}

DEFAULTS.update(
    {
        "null": {},
        "bool": _NUMBER,
        "integer": _NUMBER,
        "float": _NUMBER,
        "string": {
            **COMMON,
            "len": _len,
            "tointeger": checked("n", _tointeger),
            "tofloat": _tofloat,
            "slice": checked("nn", _string_slice),
            "find": checked("sn", _string_find),
            "tolower": checked("nn", _mapped(_LOWER)),
            "toupper": checked("nn", _mapped(_UPPER)),
        },
        "table": {
            **_SLOTS,
            "len": _len,
            "rawdelete": _rawdelete,
            "clear": _clear,
            "setdelegate": _setdelegate,
            "getdelegate": _getdelegate,
            "filter": checked("c", _table_filter),
            "keys": _keys,
            "values": _values,
        },
        "array": {
            **COMMON,
            "len": _len,
            "append": _append,
            "push": _append,
            "extend": checked("a", _extend),
            "pop": _pop,
            "top": _top,
            "insert": checked("n.", _insert),
            "remove": checked("n", _remove),
            "resize": checked("n.", _resize),
            "reverse": _reverse,
            "sort": checked("c", _sort),
            "slice": checked("nn", _array_slice),
            "clear": _clear,
            "map": checked("c", _map),
            "apply": checked("c", _apply),
            "reduce": checked("c.", _reduce),
            "filter": checked("c", _array_filter),
            "find": _array_find,
        },
        "function": {
            **COMMON,
            **_ROOTS,
            "call": _call,
            "pcall": _call,
            "acall": checked("a", _acall),
            "pacall": checked("a", _acall),
            "bindenv": _bindenv,
            "getinfos": _getinfos,
        },
        "class": {
            **_SLOTS,
            "instance": _instance,
            "getbase": _getbase,
            "newmember": _newmember,
            "rawnewmember": _newmember,
            "getattributes": _getattributes,
            "setattributes": _setattributes,
        },
        "instance": {**_SLOTS, "getclass": _getclass},
        "generator": {**COMMON, "getstatus": _getstatus},
    }
)
