"""Where the modules listen when nobody says, and what happens where that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kahea.routing.module import ConfigError
from kahea.routing.node import Node
from kahea.routing.settings import Configuration
from kahea.testing import Simulation

DEFAULT = {"kamailio_ctl", "kamailio_rpc.fifo", "kamailio_rpc.sock"}


def opened(rundir: Path, load: list[str] | None, **parameters: tuple[str, str]) -> set[str]:
    """Names in the run directory while a node is open."""
    configuration = Configuration(load=load)
    configuration.set_global("rundir", str(rundir))
    for name, (module, value) in parameters.items():
        configuration.set_module(module, name, value)

    async def main() -> set[str]:
        node = Node(configuration)
        node.start()
        try:
            for module in ("ctl", "jsonrpcs"):
                await node.module(module).open()
            return {path.name for path in rundir.iterdir()} if rundir.is_dir() else set()
        finally:
            for module in ("ctl", "jsonrpcs"):
                await node.module(module).stop()

    return asyncio.run(main())


def test_modules_that_were_named_listen_in_the_run_directory(tmp_path: Path) -> None:
    assert opened(tmp_path / "run", ["ctl", "jsonrpcs"]) == DEFAULT
    assert not list((tmp_path / "run").iterdir())


def test_modules_that_nobody_named_open_nothing(tmp_path: Path) -> None:
    assert opened(tmp_path / "run", None) == set()


def test_a_parameter_names_a_module_too(tmp_path: Path) -> None:
    assert opened(tmp_path, None, mode=("ctl", "384")) == {"kamailio_ctl"}


def test_a_default_place_may_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("a file in the way")
    assert opened(tmp_path / "run", ["ctl", "jsonrpcs"]) == set()
    assert caplog.text.count("no management") == 3


@pytest.mark.parametrize(
    ("name", "module", "value"),
    [
        ("binrpc", "ctl", "unix:/no/such/place"),
        ("fifo_name", "jsonrpcs", "/proc/fifo"),
        ("dgram_socket", "jsonrpcs", "/proc/socket"),
        ("tcp_socket", "jsonrpcs", "tcp:192.0.2.1:1"),
        ("user", "ctl", "nobody-of-that-name"),
        ("fifo", "ctl", "/tmp/old"),
        ("transport", "jsonrpcs", "16"),
    ],
)
def test_a_place_that_was_named_must_work(tmp_path: Path, name: str, module: str, value: str) -> None:
    named = {name: (module, value)}
    if name == "tcp_socket":
        named["transport"] = (module, "8")
    with pytest.raises(ConfigError):
        opened(tmp_path, ["ctl", "jsonrpcs"], **named)


def test_a_simulation_opens_nothing_on_the_host(tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(
        f'rundir="{tmp_path}/run"\nloadmodule "ctl"\nloadmodule "jsonrpcs"\nloadmodule "sl"\n'
        f'modparam("ctl", "binrpc", "unix:{tmp_path}/ctl")\n'
        'request_route { sl_send_reply("200", "OK"); }\n'
    )
    with Simulation() as simulation:
        simulation.node(cfg, "udp:10.0.0.9:5060")
        assert simulation.ua("alice").options("sip:10.0.0.9").status == 200
        assert [path.name for path in tmp_path.iterdir()] == ["kamailio.cfg"]


def test_http_alone_needs_xhttp(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the module xhttp"):
        opened(tmp_path, ["ctl", "jsonrpcs"], transport=("jsonrpcs", "1"))


def test_parameters_without_effect_are_told(tmp_path: Path) -> None:
    configuration = Configuration(load=["ctl"])
    configuration.set_module("ctl", "binrpc_buffer_size", 4096)
    Node(configuration)
    assert configuration.notes == [
        "ctl.binrpc_buffer_size has no effect here: an answer is made whole, however long it is"
    ]
