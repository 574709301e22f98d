"""Each of Kamailio's global parameters has its effect, is explained, or is refused with a reason; by its own list."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from kahea.cli.check import report
from kahea.routing.global_inert import INERT, REFUSED
from kahea.routing.global_parameters import Settings, _names

REFERENCE = Path(__file__).parents[3] / "shared/reference/core_keywords.json"
#: What a cfg may say: a value of each type, other than the default of any parameter.
VALUES = {
    "int": "7",
    "bool": "yes",
    "string": '"x"',
    "word": "x",
    "host": "x.example",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
#: Values of parameters that take but a few, or whose form is their own.
OWN = {
    "alias": '"x.example"',
    "debug": "2",
    "coreparam": '"x"',
    "disable_sctp": "yes",
    "disable_tls": "no",
    "domain": '"x.example"',
    "enable_sctp": "0",
    "group": '"daemon"',
    "ipv6_hex_style": '"A"',
    "listen": "udp:127.0.0.1:5062",
    "log_facility": "LOG_LOCAL0",
    "pmtu_discovery": "1",
    "port": "5062",
    "return_mode": "1",
    "socket": "{ bind = udp:127.0.0.1:5062; }",
    "tcp_poll_method": "epoll_lt",
    "tls_method": "TLSv1",
    "tos": "8",
    "udp_mtu_try_proto": "tcp",
    "user": '"daemon"',
}


def parameters() -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        json.loads(REFERENCE.read_text())["global_parameters"] if REFERENCE.exists() else []
    )
    return found


@pytest.mark.skipif(not REFERENCE.exists(), reason="the list of Kamailio's parameters is not here")
def test_there_are_226() -> None:
    assert len(parameters()) == 226


@pytest.mark.parametrize("parameter", parameters(), ids=lambda p: str(p["name"]))
def test_each_is_honoured_explained_or_refused(tmp_path: Path, parameter: dict[str, object]) -> None:
    name = str(parameter["name"])
    aliases = [a for a in parameter.get("aliases", []) if a != name]  # type: ignore[attr-defined]
    kinds: list[str] = parameter["types"]  # type: ignore[assignment]
    value = OWN.get(name) or VALUES[next(k for k in kinds if k in VALUES)]
    for one in (name, *aliases):
        real = _names()["iuid" if one == "coreparam" else one]
        cfg = tmp_path / "one.cfg"
        given = f"{one}[iuid]={value}" if name == "coreparam" else f"{one}={value}"
        cfg.write_text(f"#!KAMAILIO\n{given}\nrequest_route {{ exit; }}\n")
        found = [d for d in report(cfg, {}).diagnostics if d.place.line == 2]
        errors = [d for d in found if d.level == "error"]
        if name == "socket":
            assert found == []  # the block is another way to write `listen`
        elif real in INERT:
            assert [d.code for d in found] == ["no-effect"], found
            assert INERT[real] in found[0].message
        elif real in REFUSED:
            assert len(errors) == 1, found
            assert REFUSED[real][1] in errors[0].message
        else:
            assert real in {f.name for f in fields(Settings)}, one
            assert found == [], found
