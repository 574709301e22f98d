"""Makes what two servers sent to the same peers comparable: one text per flow, the same on every run.

Everything that a peer wrote is already the same in each run but for port numbers. What a server makes
up (branch values, tags, its own ports) is replaced by a name numbered in order of appearance, so that equal
values stay equal and different ones different.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .peers import Sip, Stage

#: Header fields compared as received; all are. Only values inside of them are replaced.
_OWN_BRANCH = "z9hG4bK-"


class Namer:
    """Gives each generated value a name: the first branch is <branch-1>, and so on."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, kind: str, value: str) -> str:
        key = (kind, value)
        if key not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[key] = f"<{kind}-{self._counts[kind]}>"
        return self._names[key]


def trace(stage: Stage) -> str:
    """All that each peer got, peer by peer, normalised."""
    ports = {str(port): f"<{name}>" for peer in stage.peers.values() for port, name in peer.ports.items()}
    hosts = set()
    for host, port in stage.server.values():
        ports.setdefault(str(port), "<server>")
        hosts.add(host)
    namer = Namer()
    tags = {f"{name}{rest}" for name in stage.peers for rest in ("-tag",)}
    out = []
    for name in sorted(stage.peers):
        peer = stage.peers[name]
        out.append(f"=== {name} ({peer.proto}) got {len(peer.entries)}")
        for entry in peer.entries:
            text = message(entry.message, ports, namer, tags)
            out.append(
                f"--- {entry.message.summary}" + (" (repeated)" if peer.compare_repeats and entry.repeats else "")
            )
            out.append(text)
    out += [f"=== note: {note}" for note in stage.notes]
    text = "\n".join(out) + "\n"
    for host in hosts - {"127.0.0.1", "::1"}:
        text = text.replace(host, "<server-host>")
    return text


def message(sip: Sip, ports: dict[str, str], namer: Namer, tags: set[str]) -> str:
    """One message: start line, headers in order with names as sent, body."""
    # What sl_reply_error says in a KEMI script depends on what Kamailio's worker did for an earlier message.
    start = re.sub(r"500 .* \(\d+/SL\)$", "500 <why> (<n>/SL)", sip.start)
    lines = [_ports(start, ports)]
    for name, value in sip.headers:
        lines.append(_ports(f"{name}: {_generated(name.lower(), value, namer, tags)}".rstrip(), ports))
    if sip.body:
        lines += ["", sip.body.replace("\r\n", "\n").rstrip("\n")]
    return "\n".join("  " + line if line else "" for line in lines)


def _ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"(?<![\w.-])\d{4,5}(?![\w.-])", lambda m: ports.get(m[0], m[0]), text)


def _generated(header: str, value: str, namer: Namer, tags: set[str]) -> str:
    if header in ("via", "v"):
        value = re.sub(r"(;i=)([0-9a-f]+)", r"\1<connection>", value)
        return re.sub(r"(branch=)([^;,\s]+)", _keep(namer, "branch", lambda v: v.startswith(_OWN_BRANCH)), value)
    if header in ("to", "t", "from", "f"):
        return re.sub(r"(;tag=)([^;,\s]+)", _keep(namer, "tag", lambda v: _is_peers(v, tags)), value)
    if header in ("contact", "m"):
        value = re.sub(r'(temp-gruu="sip:)([^@"]+)', _keep(namer, "gruu", lambda _: False), value)
        return re.sub(r"(;expires=)(\d+)", _rounded, value)
    if header == "warning":
        return re.sub(r"(pid=)(\d+)", r"\1<pid>", value)
    return value


def _is_peers(tag: str, tags: set[str]) -> bool:
    return any(tag.startswith(known) for known in tags)


def _keep(namer: Namer, kind: str, is_peers: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    return lambda m: m[0] if is_peers(m[2]) else m[1] + namer.name(kind, m[2])


def _rounded(match: re.Match[str]) -> str:
    """Remaining seconds may have ticked once between a REGISTER and the reply."""
    seconds = int(match[2])
    return f"{match[1]}{seconds + 1 if seconds % 10 == 9 else seconds}"
