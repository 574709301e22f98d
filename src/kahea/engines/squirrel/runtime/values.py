"""What a script's values are in Python.

| Squirrel | Python |
|---|---|
| null, bool, integer, float | `None`, `bool`, `int` (of 64 bits), `float` (of 32 bits) |
| string | `str` with a character for each byte |
| table, array, class, instance, generator, thread | the classes here and in `threads` |
| function | a Python function whose first argument is `this`, or a callable that is called so |

Slots are the items of a `dict`. Its keys are the script's, but for floats and bools, which Python takes for the
integers that they equal: `key_of` sets them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from kahea.engines.squirrel.runtime.errors import Thrown

#: No value at all.
MISSING: Final = object()


def key_of(key: Any) -> Any:
    """The item that a slot is."""
    kind = type(key)
    if kind is str or kind is int:
        return key
    if kind is float or kind is bool:
        return (kind, key)
    return key


def slot_of(item: Any) -> Any:
    """The key of a slot: the inverse of `key_of`."""
    return item[1] if type(item) is tuple else item


class _Slots(dict[Any, Any]):
    """What tables, classes and instances have in common: each is itself only, and true."""

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __bool__(self) -> bool:
        return True


class Table(_Slots):
    """A table."""

    __slots__ = ("delegate",)

    def __init__(self, slots: Any = (), delegate: Table | None = None) -> None:
        super().__init__(slots)
        self.delegate = delegate

    def __missing__(self, item: Any) -> Any:
        """What it has by its delegate or its type. Raises Thrown."""
        from kahea.engines.squirrel.runtime.slots import inherited_slot

        return inherited_slot(self, slot_of(item))

    def __call__(self, this: Any, *args: Any) -> Any:
        return _called(self, this, args)


class Fixed(Table):
    """A table that scripts can't change: `KSR` and those in it."""

    __slots__ = ()


class Array(list[Any]):
    """An array."""

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __bool__(self) -> bool:
        return True


#: Functions of a class that the run-time calls; they are no slots of it.
_METAMETHODS: Final = """
    _add _sub _mul _div _unm _modulo _set _get _typeof _nexti _cmp _call _cloned _newslot _delslot _tostring _newmember
    _inherited
"""
METAMETHODS: Final = frozenset(_METAMETHODS.split())


class Class(_Slots):
    """A class. Its items are the members: methods, static ones, and the defaults of fields."""

    __slots__ = ("attributes", "base", "defaults", "locked", "metamethods", "own_attributes")

    def __init__(self, base: Class | None = None) -> None:
        super().__init__(base or ())
        self.base = base
        #: The fields with the values that instances begin with.
        self.defaults: dict[Any, Any] = dict(base.defaults) if base else {}
        self.metamethods: dict[str, Any] = dict(base.metamethods) if base else {}
        self.attributes: dict[Any, Any] = {}
        self.own_attributes: Any = None
        #: Whether there are instances, so that fields stay as they are.
        self.locked = False

    def add(self, key: Any, value: Any, static: bool = False) -> None:
        """Give it a member. Raises Thrown."""
        shared = static or type_name(value) == "function"
        if self.locked and not shared:
            raise Thrown("trying to modify a class that has already been instantiated")
        if type(value) is Based:
            value = value.make(self.base)
        item = key_of(key)
        if item in self.defaults or not shared:
            self.defaults[item] = value
        elif key in METAMETHODS and type_name(value) == "function":
            self.metamethods[key] = value
            return
        self[item] = value

    def instance(self) -> Instance:
        """An instance whose constructor was not called."""
        self.locked = True
        made = Instance(self.defaults)
        made.of = self
        return made

    def __call__(self, _this: Any, *args: Any) -> Any:
        made = self.instance()
        constructor = self.get("constructor")
        if constructor is not None:
            constructor(made, *args)
        return made


class Instance(_Slots):
    """An instance of a class; its items are its fields."""

    __slots__ = ("of", "payload")

    of: Class
    #: What the run-time keeps in an instance of a class of its own.
    payload: Any

    def __call__(self, this: Any, *args: Any) -> Any:
        return _called(self, this, args)


class Based:
    """A function that names `base`, of which a class makes one of its own."""

    __slots__ = ("_alone", "make")

    def __init__(self, make: Callable[[Class | None], Any]) -> None:
        self.make = make
        self._alone: Any = None

    def __call__(self, this: Any, *args: Any) -> Any:
        if self._alone is None:
            self._alone = self.make(None)
        return self._alone(this, *args)


class Bound:
    """A function with a `this` of its own (`bindenv`)."""

    __slots__ = ("env", "function")

    def __init__(self, function: Any, env: Any) -> None:
        self.function = function
        self.env = env

    def __call__(self, _this: Any, *args: Any) -> Any:
        return self.function(self.env, *args)


class Generating:
    """A generator: a function under way that yields."""

    __slots__ = ("_frame", "status")

    def __init__(self, frame: Generator[Any, Any, Any]) -> None:
        self._frame = frame
        self.status = "suspended"

    def resume(self) -> Any:
        """Go on until it yields or returns. Raises Thrown."""
        if self.status != "suspended":
            raise Thrown("resuming dead generator" if self.status == "dead" else "resuming active generator")
        self.status = "running"
        try:
            value = next(self._frame)
        except StopIteration as end:
            self.status = "dead"
            return end.value
        except BaseException:
            self.status = "dead"
            raise
        self.status = "suspended"
        return value

    def each(self) -> Iterator[tuple[int, Any]]:
        """What it yields, counted; not what it returns."""
        count = 0
        while self.status != "dead":
            value = self.resume()
            if self.status == "dead":
                return
            yield count, value
            count += 1


_NAMES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "bool",
    int: "integer",
    float: "float",
    str: "string",
    Table: "table",
    Fixed: "table",
    Array: "array",
    Class: "class",
    Instance: "instance",
    Generating: "generator",
    FunctionType: "function",
    BuiltinFunctionType: "function",
    MethodType: "function",
    Bound: "function",
    Based: "function",
}


def types_of(names: Iterable[str]) -> frozenset[type]:
    """The types in Python that have the names of types."""
    return frozenset(kind for kind, name in _NAMES.items() if name in names)


def type_name(value: Any) -> str:
    """The type's name."""
    found: str | None = _NAMES.get(type(value))
    if found is None:
        found = getattr(value, "squirrel_type", "function")
    return found


def metamethod(value: Any, name: str) -> Any:
    """What stands for an operation on a table (by its delegate) or instance (by its class), or None."""
    kind = type(value)
    if kind is Instance:
        return value.of.metamethods.get(name)
    if kind is Table and value.delegate is not None:
        return value.delegate.get(name)
    return None


def _called(value: Any, this: Any, args: tuple[Any, ...]) -> Any:
    method = metamethod(value, "_call")
    if method is None:
        raise Thrown(f"attempt to call '{type_name(value)}'")
    return method(value, this, *args)
