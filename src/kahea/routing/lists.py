"""AVP, XAVP, XAVU and XAVI: the named lists that a script keeps with a message, and so with its transaction.

They are stacks: what was added last comes first (index 0). Here the newest entry is the last of a Python
list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from kahea.sip.message import Message

FACET = "lists"

AvpName = int | str
Scalar = int | str
XValue = Union[int, str, "Xavps", None]


class Avps:
    """Attribute-value pairs: each name, a number or a text, has a stack of numbers and texts. Each value has flags."""

    __slots__ = ("_flags", "_stacks")

    def __init__(self) -> None:
        self._stacks: dict[AvpName, list[Scalar]] = {}
        self._flags: dict[AvpName, dict[int, int]] = {}  # by the value's place in its stack

    def get(self, name: AvpName, index: int = 0) -> Scalar | None:
        """The value at an index from the newest, 0; negative ones count from the oldest, -1."""
        stack = self._stacks.get(name)
        if stack is None:
            return None
        at = -1 - index
        return stack[at] if -len(stack) <= at < len(stack) else None

    def all(self, name: AvpName) -> list[Scalar]:
        """Every value, newest first."""
        return self._stacks.get(name, [])[::-1]

    def count(self, name: AvpName) -> int:
        """How many values the name has."""
        return len(self._stacks.get(name, ()))

    def push(self, name: AvpName, value: Scalar) -> None:
        """Add a value before the others."""
        self._stacks.setdefault(name, []).append(value)

    def replace(self, name: AvpName, value: Scalar) -> None:
        """Make this the only value."""
        self._stacks[name] = [value]
        self._flags.pop(name, None)

    def pop(self, name: AvpName) -> bool:
        """Remove the newest value; False if there was none."""
        stack = self._stacks.get(name)
        if stack is None:
            return False
        stack.pop()
        if name in self._flags:
            self._flags[name].pop(len(stack), None)
        if not stack:
            del self._stacks[name]
        return True

    def remove(self, name: AvpName) -> int:
        """Remove every value; how many there were."""
        self._flags.pop(name, None)
        return len(self._stacks.pop(name, ()))

    def names(self) -> list[AvpName]:
        """The names that have values."""
        return list(self._stacks)

    def clear(self) -> None:
        """Remove everything."""
        self._stacks.clear()
        self._flags.clear()

    def flags(self, name: AvpName) -> int:
        """The flags of the newest value, 0 if there is none."""
        stack = self._stacks.get(name)
        return self._flags.get(name, {}).get(len(stack) - 1, 0) if stack else 0

    def mark(self, name: AvpName, add: int, remove: int) -> bool:
        """Set and clear flags of the newest value; False if there is none."""
        stack = self._stacks.get(name)
        if not stack:
            return False
        of_name = self._flags.setdefault(name, {})
        of_name[len(stack) - 1] = of_name.get(len(stack) - 1, 0) & ~remove | add
        return True


class Xitem:
    """One entry of an XAVP list: a name and a number, a text, a list of fields, or nothing."""

    __slots__ = ("key", "name", "value")

    def __init__(self, key: str, name: str, value: XValue) -> None:
        self.key = key
        self.name = name
        self.value = value

    @property
    def fields(self) -> Xavps | None:
        """The fields, if it has any."""
        return self.value if isinstance(self.value, Xavps) else None


class Xavps:
    """A list of named entries, newest last in `items`; with `fold`, names match in any case (XAVI)."""

    __slots__ = ("fold", "items")

    def __init__(self, fold: bool = False) -> None:
        self.fold = fold
        self.items: list[Xitem] = []

    def _key(self, name: str) -> str:
        return name.lower() if self.fold else name

    def find(self, name: str, index: int = 0) -> Xitem | None:
        """The entry at an index from the newest, 0; negative ones count from the oldest, -1."""
        key = self._key(name)
        items: Iterator[Xitem] = reversed(self.items)
        if index < 0:
            items, index = iter(self.items), -1 - index
        for item in items:
            if item.key == key:
                if index == 0:
                    return item
                index -= 1
        return None

    def get(self, name: str, index: int = 0) -> XValue:
        """The value of an entry, None if there is none."""
        item = self.find(name, index)
        return None if item is None else item.value

    def all(self, name: str) -> list[Xitem]:
        """Every entry of the name, newest first."""
        key = self._key(name)
        return [item for item in reversed(self.items) if item.key == key]

    def push(self, name: str, value: XValue) -> Xitem:
        """Add an entry before the others."""
        item = Xitem(self._key(name), name, value)
        self.items.append(item)
        return item

    def append(self, name: str, value: XValue) -> Xitem:
        """Add an entry after the others of its name."""
        key = self._key(name)
        item = Xitem(key, name, value)
        for i, other in enumerate(self.items):
            if other.key == key:
                self.items.insert(i, item)
                return item
        self.items.append(item)
        return item

    def insert_at(self, name: str, value: XValue, at: int) -> Xitem:
        """Put an entry where its index is `at`, with empty ones before it if there are too few; an empty one there
        gets the value."""
        for _ in range(at - self.count(name)):
            self.append(name, None)
        before = self.find(name, at)
        if before is None:
            return self.append(name, value)
        if before.value is None:
            before.value = value
            return before
        item = Xitem(before.key, name, value)
        self.items.insert(self.items.index(before) + 1, item)
        return item

    def set(self, name: str, value: XValue) -> Xitem:
        """Give the newest entry of the name this value, or add it."""
        item = self.find(name)
        if item is None:
            return self.push(name, value)
        item.value = value
        return item

    def make(self, name: str) -> Xavps:
        """The fields of the newest entry of the name; a plain value gives way, and an entry is added if there
        is none."""
        item = self.find(name)
        if item is None:
            item = self.push(name, None)
        return self.fields_of(item)

    def fields_of(self, item: Xitem) -> Xavps:
        """The item's fields, made if it has none."""
        fields = item.fields
        if fields is None:
            fields = item.value = Xavps(self.fold)
        return fields

    def remove(self, name: str, index: int = 0) -> bool:
        """Remove one entry; False if it is not there."""
        item = self.find(name, index)
        if item is None:
            return False
        self.items = [other for other in self.items if other is not item]
        return True

    def remove_all(self, name: str) -> int:
        """Remove every entry of the name; how many there were."""
        key = self._key(name)
        kept = [item for item in self.items if item.key != key]
        gone = len(self.items) - len(kept)
        self.items = kept
        return gone

    def count(self, name: str) -> int:
        """How many entries the name has."""
        key = self._key(name)
        return sum(item.key == key for item in self.items)

    def names(self) -> list[str]:
        """The distinct names, newest first."""
        return list(dict.fromkeys(item.name for item in reversed(self.items)))

    def copy(self) -> Xavps:
        """A deep copy."""
        twin = Xavps(self.fold)
        twin.items = [
            Xitem(i.key, i.name, i.value.copy() if isinstance(i.value, Xavps) else i.value) for i in self.items
        ]
        return twin

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The list as text, for the log: one entry a line, newest first."""
        for item in reversed(self.items):
            pad = "  " * depth
            if isinstance(item.value, Xavps):
                yield f"{pad}{item.name} =>"
                yield from item.value.lines(depth + 1)
            else:
                yield f"{pad}{item.name} = {item.value!r}"


class Lists:
    """The lists of one message and its transaction."""

    __slots__ = ("avps", "xavis", "xavps", "xavus")

    avps: Avps
    xavps: Xavps
    xavus: Xavps
    xavis: Xavps

    def __getattr__(self, name: str) -> Avps | Xavps:
        """One that is wanted for the first time: few scripts have all."""
        if name not in self.__slots__:
            raise AttributeError(name)
        made = Avps() if name == "avps" else Xavps(fold=name == "xavis")
        setattr(self, name, made)
        return made


def lists_of(msg: Message) -> Lists:
    """The lists of a message, made when first wanted."""
    lists = msg.facets.get(FACET)
    if lists is None:
        lists = msg.facets[FACET] = Lists()
    return lists  # type: ignore[return-value]
