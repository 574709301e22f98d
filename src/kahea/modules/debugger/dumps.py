"""What `dbg_pv_dump` and `dbg_sip_msg` write: variables as JSON, and the message as it would leave."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, Final

from kahea.routing.lists import lists_of
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

NULLS: Final = 1
AVPS: Final = 2
SCRIPT: Final = 4
XAVPS: Final = 8
OTHERS: Final = 16
EVERYTHING: Final = 31

_SCRIPT_NAMES: Final = frozenset({"var", "vn", "vz", "shv"})
_XAVP_NAMES: Final = frozenset({"xavp", "xavu", "xavi"})


def variables_of(run: Run, mask: int) -> str:
    """The variables that the script uses, as a JSON object by their names."""
    found: dict[str, Any] = {}
    for pv in run.generation.variables:
        kind = _kind(pv)
        if not mask & kind:
            continue
        name, value = _shown(run, pv, kind)
        if value is None or value == []:
            if not mask & NULLS:
                continue
            value = None
        found[name] = value
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def _kind(pv: Pv) -> int:
    if pv.name == "avp":
        return AVPS
    if pv.name in _XAVP_NAMES:
        return XAVPS
    return SCRIPT if pv.name in _SCRIPT_NAMES else OTHERS


def _shown(run: Run, pv: Pv, kind: int) -> tuple[str, Any]:
    """The name under which a variable is shown, and its values."""
    table = run.node.variables
    if kind == AVPS:
        inner = (pv.inner or "").removeprefix("s:")
        values: list[Any] = []
        while (value := table.compile(f"$(avp({pv.inner})[{len(values)}])").get(run)) is not None:
            values.append(value)
        return f"$avp({inner})", values
    if kind == XAVPS:
        root = (pv.inner or "").partition("=>")[0].partition("[")[0]
        return f"${pv.name}({root})", _lists(run, pv.name, root)
    return pv.text, pv.get(run)


def _lists(run: Run, name: str, root: str) -> Any:
    """Each list of the name, the newest first: fields with their values, or the value that it is."""
    found: list[Any] = []
    for item in reversed(getattr(lists_of(run.msg), f"{name}s").items):
        if item.key != root:
            continue
        fields = item.fields
        if fields is None:
            found.append(item.value)
            continue
        values: dict[str, list[Any]] = {}
        for field in reversed(fields.items):
            values.setdefault(field.name, []).append(field.value if field.fields is None else "<xavp>")
        found.append(values)
    return found


def message_of(run: Run, place: str) -> str:
    """The message as it would be sent now, and what the edits change of headers and body."""
    msg = run.msg
    before, after = text(msg.raw), text(msg.rebuild())
    return "\n".join(
        [
            f"CONFIG LINE {place}",
            _title("START OF SIP message debug"),
            after.replace("\r\n", "\n"),
            _title("SIP header diffs"),
            *_changes(_part(before, 0), _part(after, 0)),
            _title("SIP body diffs"),
            *_changes(_part(before, 1), _part(after, 1)),
            _title("END OF SIP message debug"),
        ]
    )


def _part(message: str, index: int) -> list[str]:
    """The header lines, or the body's; the first line is not compared."""
    head, _, body = message.partition("\r\n\r\n")
    return head.split("\r\n")[1:] if index == 0 else body.splitlines()


def _changes(before: list[str], after: list[str]) -> list[str]:
    lines = difflib.ndiff(before, after)
    return [f"- {line[2:]}" if line[0] == "-" else line[2:] for line in lines if line[0] in "-+"]


def _title(words: str) -> str:
    return f" {words} ".center(79, "-")
