"""Who may see a user's presence, and what of it: the user's rules (RFC 4745, RFC 5025), read as Kamailio reads them.

The first rule that names a watcher holds. A rule without an `identity` names nobody. What a rule says that is not known
here makes it hold for nobody, as RFC 4745 §7 has it. Parts of a document are left out where a rule grants some of
a kind and not these; where it says nothing of a kind, all of it is shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.presence.events import Decision
from kahea.modules.presence.subscription import ACTIVE, PENDING, POLITE_BLOCK, TERMINATED, split_uri
from kahea.modules.presence_xml.documents import local_name, read, write
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HANDLING: Final = {
    "allow": Decision(ACTIVE),
    "confirm": Decision(PENDING),
    "block": Decision(TERMINATED, "rejected"),
    "polite-block": Decision(ACTIVE, POLITE_BLOCK),
}
#: What grants parts of a document, and what those are called.
_PARTS: Final = {"provide-services": "tuple", "provide-persons": "person", "provide-devices": "device"}
#: What says that an attribute may be shown.
_GRANTED: Final = frozenset(("true", "1", "full", "thresholds"))


def _children(element: Any, name: str) -> list[Any]:
    return [each for each in element if local_name(each) == name]


def _child(element: Any, name: str) -> Any | None:
    return next(iter(_children(element, name)), None)


def _text(element: Any) -> str:
    return (element.text or "").strip()


class XcapRules:
    """A user's rules. `deleted` is the reason given to a watcher whom they named once, and name no more; `now` Unix
    time; conditions on a sphere hold if `sphere` is one of theirs, all of them without one."""

    def __init__(self, document: bytes, deleted: str, now: float, sphere: str | None = None) -> None:
        """Raises ValueError for what is no XML."""
        root = read(document)
        self._rules = _children(root, "rule")
        self._deleted = deleted
        self._now = now
        self._sphere = sphere
        #: What was shown of a state before: by rule, as it is the same for all whom one names.
        self._views: dict[Any, tuple[bytes, bytes]] = {}

    def decide(self, watcher: str, before: int) -> Decision:
        """What holds for a watcher whose status was `before`, 0 if it had none."""
        rule = self._for(watcher)
        if rule is None:
            return Decision(PENDING) if before == PENDING else Decision(TERMINATED, self._deleted)
        actions = _child(rule, "actions")
        handling = None if actions is None else _child(actions, "sub-handling")
        return _HANDLING.get("" if handling is None else _text(handling), Decision(PENDING))

    def view(self, state: bytes, watcher: str) -> bytes:
        """What of a document a watcher may see."""
        rule = self._for(watcher)
        transformations = None if rule is None else _child(rule, "transformations")
        if transformations is None or not len(transformations):
            return state
        shown = self._views.get(rule)
        if shown is None or shown[0] is not state:
            shown = self._views[rule] = (state, _without(state, transformations))
        return shown[1]

    def _for(self, watcher: str) -> Any | None:
        return next((rule for rule in self._rules if self._holds(rule, watcher)), None)

    def _holds(self, rule: Any, watcher: str) -> bool:
        conditions = _child(rule, "conditions")
        if conditions is None or _child(conditions, "identity") is None:
            return False
        return all(self._met(condition, watcher) for condition in conditions)

    def _met(self, condition: Any, watcher: str) -> bool:
        name = local_name(condition)
        if name == "identity":
            return any(_is_named(each, watcher) for each in condition)
        if name == "validity":
            return _is_valid(condition, self._now)
        if name == "sphere":
            return self._sphere is None or condition.get("value") == self._sphere
        return False


def _is_named(element: Any, watcher: str) -> bool:
    """Whether `one` or `many` mean a watcher (RFC 4745 §7.1)."""
    name = local_name(element)
    if name == "one":
        return bool(element.get("id") == watcher)
    if name != "many":
        return False
    try:
        domain = split_uri(watcher)[1]
    except ParseError:
        return False
    if element.get("domain") not in (None, domain):
        return False
    return not any(each.get("id") == watcher or each.get("domain") == domain for each in _children(element, "except"))


def _is_valid(validity: Any, now: float) -> bool:
    """Whether one of the times from `from` until `until` is now."""
    try:
        begins = [datetime.fromisoformat(_text(each)).timestamp() for each in _children(validity, "from")]
        ends = [datetime.fromisoformat(_text(each)).timestamp() for each in _children(validity, "until")]
    except (ValueError, OverflowError):
        return False
    return any(begin <= now < end for begin, end in zip(begins, ends, strict=False))


def _without(state: bytes, transformations: Any) -> bytes:
    """A document without what a rule does not grant."""
    try:
        root = read(state)
    except ValueError:
        return b""
    gone = [*_other_parts(root, transformations), *_other_attributes(root, transformations)]
    for element in gone:
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    return write(root) if gone else state


def _other_parts(root: Any, transformations: Any) -> Iterator[Any]:
    """The parts of which others are granted."""
    for granted in transformations:
        kind = _PARTS.get(local_name(granted))
        if kind is None or any(local_name(each).startswith("all-") for each in granted):
            continue
        yield from (part for part in _children(root, kind) if not any(_is_meant(part, each) for each in granted))


def _is_meant(part: Any, by: Any) -> bool:
    """Whether a tuple, person or device is one that a rule grants (RFC 5025 §3.3.1)."""
    name, wanted = local_name(by), _text(by)
    if name in ("class", "deviceID"):
        return any(_text(each) == wanted for each in _children(part, name))
    if name == "service-uri":
        return any(_text(each) == wanted for each in _children(part, "contact"))
    if name == "service-uri-scheme":
        return any(_text(each).partition(":")[0] == wanted for each in _children(part, "contact"))
    return name == "occurrence-id" and part.get("id") == wanted


def _other_attributes(root: Any, transformations: Any) -> list[Any]:
    """Elements of a name of which a rule says `provide-name` and not that it is true."""
    names: set[str] = set()
    for granted in transformations:
        name = local_name(granted)
        if name in _PARTS or name == "provide-all-attributes" or _text(granted) in _GRANTED:
            continue
        if name == "provide-unknown-attribute":
            names.add(granted.get("name", ""))
        elif name.startswith("provide-"):
            names.add(name.removeprefix("provide-"))
    return [each for each in root.iter() if local_name(each) in names] if names else []


__all__ = ["XcapRules"]
