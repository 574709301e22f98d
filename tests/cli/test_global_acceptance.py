"""Each of Kamailio's global parameters, with a value that it takes and one that it does not, as `kamailio -c` has it.

What it takes must be taken here, and what it refuses for its type refused. The exceptions have their reasons, and one
that is none any more fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from test_global_parameters import OWN, VALUES, parameters

from kahea.cli.check import report

KAMAILIO = shutil.which("kamailio")

pytestmark = [
    pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed"),
    pytest.mark.skipif(not parameters(), reason="the list of Kamailio's parameters is not here"),
]

_LATER: Final = """
    async_tkv_evcb async_tkv_gname auto_domains coreparam dns_rev_via dns_use_cache dns_use_failover domain
    kemi.request_route_callback maxsndbuffer mem_add_size msg_apply_changes_mode msg_clone_extra_size msg_recv_max_size
    return_mode rpc_exec_delta rpc_exec_locks rpc_exec_locks_mode socket tcp_accept_iplimit tcp_accept_protocols
    tcp_accept_protos tcp_check_timer tcp_close_rst tcp_listen_backlog tcp_main_threads tcp_msg_data_timeout
    tcp_msg_read_timeout tls_connection_match_domain tls_threads_mode udp_accept_proxy udp_receiver_mode
    xavp_via_reply_params
"""
#: Names that came after 5.6.3, as it says itself: it knows none of them.
LATER: Final = frozenset(_LATER.split())
#: A value of another type for each kind; the grammar has no place for it.
WRONG: Final = {
    "block": "7",
    "bool": '"x"',
    "host": "-7",
    "int": '"x"',
    "ipv4": '"127.0.0.1"',
    "ipv6": "127.0.0.1",
    "listen-list": "7.7.7",
    "proto": "7",
    "string": "7",
    "word": "7",
}
#: Where 5.6.3 takes more than the type says, a value that it refuses.
OWN_WRONG: Final = {"coreparam": "-", "tcp_accept_protocols": "-", "tls_method": '"TLSv1"'}


def _names(parameter: dict[str, object]) -> list[str]:
    aliases: list[str] = parameter.get("aliases", [])  # type: ignore[assignment]
    return list(dict.fromkeys([str(parameter["name"]), *aliases]))


def _written(name: str, value: str) -> str:
    return f"coreparam[iuid]={value}" if name == "coreparam" else f"{name}={value}"


def _cfg(path: Path, *lines: str) -> Path:
    listen = [] if any(line.startswith(("listen", "socket")) for line in lines) else ["listen=udp:127.0.0.1:5060;"]
    path.write_text("\n".join(["#!KAMAILIO", *listen, *lines, "request_route { exit; }", ""]))
    return path


def _accepted_there(path: Path) -> bool:
    assert KAMAILIO is not None
    result = subprocess.run([KAMAILIO, "-c", "-f", str(path)], capture_output=True, check=False, timeout=10)
    return result.returncode == 0


def _accepted_here(path: Path) -> bool:
    return not report(path, {}).failed(strict=False)


def _sane() -> dict[str, str]:
    """Each name, other names too, with a value of its type."""
    found = {}
    for parameter in parameters():
        kinds: list[str] = parameter["types"]  # type: ignore[assignment]
        for name in _names(parameter):
            value = OWN.get(str(parameter["name"])) or VALUES[next(k for k in kinds if k in VALUES)]
            found[name] = value
    # A directory that there is, a number within bounds, and a protocol of later use.
    return found | {"rundir": '"/tmp"', "run_dir": '"/tmp"', "max_branches": "7", "udp_mtu_try_proto": "TCP"}


def test_sane_values(tmp_path: Path) -> None:
    os.environ.setdefault("HOME", "/")
    values = _sane()
    assert values.keys() >= LATER
    known = [_written(name, value) for name, value in values.items() if name not in LATER | {"listen"}]
    together = _cfg(tmp_path / "all.cfg", "listen=udp:127.0.0.1:5062;", *known)
    assert _accepted_there(together)
    assert _accepted_here(together)
    # Those that Kamailio has only since: it says so, and here they have a meaning or a reason.
    for name in LATER:
        one = _cfg(tmp_path / f"{name}.cfg", _written(name, values[name]))
        assert not _accepted_there(one), f"{name} is known"


def test_values_of_the_wrong_type(tmp_path: Path) -> None:
    os.environ.setdefault("HOME", "/")
    tried = {}
    for parameter in parameters():
        name = str(parameter["name"])
        kinds: list[str] = parameter["types"]  # type: ignore[assignment]
        value = OWN_WRONG.get(name) or WRONG["bool" if "bool" in kinds else kinds[0]]
        tried[_cfg(tmp_path / f"{name}.cfg", _written(name, value))] = f"{name}={value}"
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(_accepted_there, tried))
    different = [
        f"{text}: {'accepted' if there else 'refused'} there"
        for (path, text), there in zip(tried.items(), theirs, strict=True)
        if _accepted_here(path) != there
    ]
    assert different == []


@pytest.mark.parametrize("name", ["user", "group"])
def test_nobody_of_that_name(tmp_path: Path, name: str) -> None:
    path = _cfg(tmp_path / "one.cfg", f'{name}="nobody-of-this-name"')
    assert not _accepted_there(path)
    assert not _accepted_here(path)
