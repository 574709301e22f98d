"""The destination set: `$br`, `$branch(...)`, `$ds`, the static branch `$sbranch(...)`; and the flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Put, some, text, unknown_key, want_int, want_text
from kahea.net.address import Listener
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named, plain
from kahea.routing.pv.table import Index
from kahea.routing.pv.values import decimal
from kahea.routing.text import wire
from kahea.sip.message import Message, Target

if TYPE_CHECKING:
    from kahea.routing.run import Run

STATIC_FACET = "sbranch"
MAX_BRANCHES = 30  # Kamailio's default, beside the first one


def static_branch(msg: Message) -> Target:
    """The branch that is being put together, for sbranch_append() and sbranch_set_ruri()."""
    found = msg.facets.get(STATIC_FACET)
    if not isinstance(found, Target):
        found = msg.facets[STATIC_FACET] = Target(b"", q=0)
    return found


# ---- attributes of a branch


def _socket(target: Target) -> Value:
    return target.sock.uri if isinstance(target.sock, Listener) else None


_READ: dict[str, Callable[[Target], Value]] = {
    "uri": lambda target: some(target.uri),
    "dst_uri": lambda target: some(target.dst_uri),
    "path": lambda target: some(target.path),
    "q": lambda target: target.q if target.q >= 0 else None,
    "send_socket": _socket,
    "flags": lambda target: target.flags,
    "ruid": lambda target: some(target.ruid),
    "instance": lambda target: some(target.instance),
    "location_ua": lambda target: some(target.location_ua),
}

Write = Callable[["Run", Target, Value], None]


def _write_optional(field: str) -> Write:
    def write(_run: Run, target: Target, value: Value) -> None:
        setattr(
            target,
            field,
            None if value is None else wire(want_text(value, f"the {field} of a branch")) or None,
        )

    return write


def _write_bytes(field: str) -> Write:
    def write(_run: Run, target: Target, value: Value) -> None:
        setattr(target, field, b"" if value is None else wire(want_text(value, f"the {field} of a branch")))

    return write


def _write_q(_run: Run, target: Target, value: Value) -> None:
    q = -1 if value is None else want_int(value, "the q of a branch")
    target.q = max(-1, min(1000, q))


def _write_flags(_run: Run, target: Target, value: Value) -> None:
    target.flags = want_int(value, "the flags of a branch") & 0xFFFFFFFF


def _write_socket(run: Run, target: Target, value: Value) -> None:
    if value is None:
        target.sock = None
        return
    listener = run.node.find_listener(want_text(value, "the socket of a branch"))
    if listener is None:
        raise PvError(f"there is no listener {value}")
    target.sock = listener


_WRITE: dict[str, Write] = {
    "uri": _write_bytes("uri"),
    "dst_uri": _write_optional("dst_uri"),
    "path": _write_optional("path"),
    "q": _write_q,
    "flags": _write_flags,
    "send_socket": _write_socket,
    "ruid": _write_bytes("ruid"),
    "instance": _write_bytes("instance"),
    "location_ua": _write_bytes("location_ua"),
}


def _pick(msg: Message, index: int) -> Target | None:
    branches = msg.branches
    return branches[index] if -len(branches) <= index < len(branches) else None


def _branch(name: Value, index: Index) -> Bound:
    key = str(name)
    if key == "count":
        return Bound(lambda run: len(run.msg.branches) or None)
    read = _READ.get(key)
    if read is None:
        raise PvError(unknown_key("branch", key, [*_READ, "count"]))
    write = _WRITE[key]
    at = index if isinstance(index, int) else 0

    def get(run: Run) -> Value:
        target = _pick(run.msg, at)
        return None if target is None else read(target)

    def put(run: Run, value: Value) -> None:
        target = _pick(run.msg, at)
        if target is None:
            raise PvError(f"there is no branch {at}")
        if value is None and key == "uri":
            run.msg.branches.remove(target)
        else:
            write(run, target, value)

    return Bound(get, put)


def _static(name: Value, _index: Index) -> Bound:
    key = str(name)
    if key == "count":
        return Bound(lambda run: int(bool(static_branch(run.msg).uri)))
    read = _READ.get(key)
    if read is None:
        raise PvError(unknown_key("sbranch", key, [*_READ, "count"]))
    write = _WRITE[key]
    return Bound(
        lambda run: read(static_branch(run.msg)),
        lambda run, value: write(run, static_branch(run.msg), value),
    )


def add_branch(msg: Message, target: Target) -> bool:
    """Append to the destination set; False if it is full."""
    if len(msg.branches) >= MAX_BRANCHES:
        return False
    msg.branches.append(target)
    return True


# ---- the set as a whole


def _first(run: Run) -> Value:
    branches = run.msg.branches
    return some(branches[0].uri) if branches else None


def _set_first(run: Run, value: Value) -> None:
    """Assigning adds a branch; null drops them all."""
    if value is None:
        run.msg.branches.clear()
        return
    uri = wire(want_text(value, "$br"))
    if not uri:
        raise PvError("$br takes a URI")
    if not add_branch(run.msg, Target(uri)):
        raise PvError(f"there are {MAX_BRANCHES} branches already")


def _all(run: Run) -> Value:
    values = [text(target.uri) if target.q < 0 else _contact(target.uri, target.q) for target in run.msg.branches]
    return ", ".join(values) or None


def _q_text(q: int) -> str:
    """`0`, `0.5`, `1`: a q-value without trailing zeros."""
    q = min(q, 1000)
    return f"{q // 1000}" if q % 1000 == 0 else f"0.{q:03d}".rstrip("0")


def _contact(uri: bytes, q: int) -> str:
    return f"<{text(uri)}>" + (f";q={_q_text(q)}" if q >= 0 else "")


def _destination_set(run: Run) -> Value:
    """As a Contact header would list it."""
    values = [_contact(target.uri, target.q) for target in run.msg.branches]
    return "Contact: " + ", ".join(values) if values else None


# ---- flags

_FLAG_WORDS = {"m": ("flags", "Flags of the transaction"), "s": ("sflags", "Flags of the script's run"),
               "b": ("bflags", "Flags of the first branch")}  # fmt: skip


def _flags(field: str) -> tuple[Get, Get, Put]:
    def get(run: Run) -> Value:
        return int(getattr(run.msg, field))

    def get_hex(run: Run) -> Value:
        return f"{getattr(run.msg, field):08x}"

    def put(run: Run, value: Value) -> None:
        setattr(run.msg, field, want_int(value, "a set of flags") & 0xFFFFFFFF)

    return get, get_hex, put


def _one_flag(field: str) -> Callable[[Value, Index], Bound]:
    def bind(name: Value, _index: Index) -> Bound:
        number = name if isinstance(name, int) else decimal(str(name))
        if number is None or not 0 <= number <= 31:
            raise PvError("a flag is a number from 0 to 31")
        bit = 1 << number

        def put(run: Run, value: Value) -> None:
            flags = getattr(run.msg, field)
            setattr(run.msg, field, flags | bit if want_int(value, "a flag") else flags & ~bit)

        return Bound(lambda run: int(bool(getattr(run.msg, field) & bit)), put)

    return bind


def _flag_variables(letter: str) -> list[Variable]:
    field, what = _FLAG_WORDS[letter]
    get, get_hex, put = _flags(field)
    return [
        plain(f"{letter}f", get, put, f"{what}, decimal."),
        plain(f"{letter}F", get_hex, put, f"{what}, hexadecimal."),
        named(f"{letter.upper()}f", _one_flag(field), writable=True, dynamic=True, doc=f"{what}: one of them."),
    ]


VARIABLES: list[Variable] = [
    plain("br", _first, _set_first, "The first of the additional branches; assigning adds one."),
    plain("bR", _all, doc="The additional branches."),
    plain("ds", _destination_set, doc="The additional branches as a Contact header."),
    named("branch", _branch, index=True, writable=True, doc="An attribute of an additional branch."),
    named("sbranch", _static, writable=True, doc="An attribute of the static branch."),
    plain("ruid", lambda run: some(run.msg.ruid), doc="The id of the location record that the target is from."),
    plain("location_ua", lambda run: some(run.msg.location_ua), doc="The User-Agent that registered the target."),
    *(variable for letter in _FLAG_WORDS for variable in _flag_variables(letter)),
]
