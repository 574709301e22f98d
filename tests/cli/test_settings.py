"""The settings file and the global parameters: types, names, places of errors."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from kahea.net.dns_settings import DnsSettings
from kahea.net.tcp_limits import TcpLimits
from kahea.routing.global_inert import INERT, REFUSED
from kahea.routing.settings import ConfigError, Settings, load, parse_listen


def read(tmp_path: Path, text: str, **more: object):  # type: ignore[no-untyped-def]
    """Load `text` as the kahea.toml beside a script."""
    (tmp_path / "kahea.toml").write_text(text)
    return load(tmp_path / "route.py", **more)  # type: ignore[arg-type]


def test_without_a_file_all_is_default(tmp_path: Path) -> None:
    config = load(tmp_path / "route.py")
    assert config.settings == Settings()
    assert config.load is None
    assert config.modules == {}


def test_everything_in_a_file(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
load = ["tm", "sl"]
[global]
listen = ["udp:127.0.0.1:5080", "tcp:127.0.0.1:5080"]
debug = 3
disable_tcp = "yes"
server_header = "Server: mine"
add_rport = true
udp_mtu_try_proto = "TCP"
kemi.reply_route_callback = "none"
children = 8
[modules.usrloc]
db_mode = 2
preload = ["location", "aliases"]
use_domain = false
[python]
path = ["lib"]
""",
    )
    settings = config.settings
    assert settings.listen == ["udp:127.0.0.1:5080", "tcp:127.0.0.1:5080"]
    assert (settings.debug, settings.disable_tcp, settings.force_rport) == (3, True, True)
    assert settings.server_header == "Server: mine"
    assert settings.udp_mtu_try_proto == 2
    assert settings.kemi_reply_route_callback == "none"
    assert config.load == ["tm", "sl"]
    assert config.modules["usrloc"] == [
        ("db_mode", 2),
        ("preload", "location"),
        ("preload", "aliases"),
        ("use_domain", 0),
    ]
    assert config.python.path == [str(tmp_path / "lib")]
    assert [n for n in config.notes if n.startswith("children has no effect here: ")]


def test_variables_of_its_own(tmp_path: Path) -> None:
    config = read(tmp_path, '[variables.pstn]\ngw_ip = "10.0.0.1"\nlimit = 5\n')
    assert config.runtime.get("pstn", "gw_ip") == "10.0.0.1"
    assert config.runtime.get("pstn", "limit") == 5
    with pytest.raises(ConfigError, match=r"kahea.toml:2: variable pstn.on"):
        read(tmp_path, "[variables.pstn]\non = true\n")


def test_flags_replace_the_listeners(tmp_path: Path) -> None:
    config = read(tmp_path, '[global]\nlisten = "udp:127.0.0.1:5080"', listeners=["udp:127.0.0.1:5090"])
    assert config.settings.listen == ["udp:127.0.0.1:5090"]


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "env")
    text = '[modules.usrloc]\nx = ["${NAME}", "${FROM_OUTSIDE}", "a${NEITHER:-b}c"]'
    config = read(tmp_path, text, defines={"NAME": "given"})
    assert [v for _, v in config.modules["usrloc"]] == ["given", "env", "abc"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("\n[global]\ndisable_tpc = 1", 3, 'did you mean "disable_tcp"?'),
        ("[global]\ndebug = 'loud'", 2, "global parameter debug takes an integer, not 'loud'"),
        ("[global]\ndisable_tcp = 7", 2, "global parameter disable_tcp takes yes or no, not 7"),
        ("[global]\nmax_branches = 99", 2, "from 1 to 30"),
        ("[global]\n\nenable_sctp = 1", 3, "SCTP is not supported yet"),
        ("[global]\n\ndisable_tls = 7", 3, "global parameter disable_tls takes yes or no, not 7"),
        ("[global]\nserver_header = 5", 2, "takes a string"),
        ("[global]\nserver_header = 5.5", 2, "can't be 5.5"),
        ("[modules.tm]\n# first\nfr_timer = 2.5", 3, "takes a string or an integer"),
        ("[modules]\ntm = 5", 2, "is a table"),
        ("\n\nlaod = []", 3, "unknown entry 'laod'; did you mean \"load\"?"),
        ("load = 'tm'", 1, "list of module names"),
        ("[global]\nserver_header = '${NO_SUCH_NAME}'", 2, "NO_SUCH_NAME is not defined"),
        ("[python]\npaht = []", 1, "paht"),
        ("[global\n", 1, "Expected"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/kahea.toml:{line}: ")
    assert message in str(caught.value)


def test_no_such_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"other\.toml"):
        load(tmp_path / "route.py", tmp_path / "other.toml")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_asks_for_nothing_is_accepted(name: str) -> None:
    wanted, why = REFUSED[name]
    settings = Settings()
    assert settings.set(name, wanted) == ""
    other = "other" if isinstance(wanted, str) else wanted + 1
    with pytest.raises(ConfigError) as caught:
        settings.set(name, other)
    assert why in str(caught.value)


def test_explanations() -> None:
    assert "INERT" not in Settings.explain("children")
    assert Settings.explain("children").startswith("no effect: ")
    assert Settings.explain("shm_mem_size") == Settings.explain("shm")
    assert "Via" in Settings.explain("reply_to_via")
    assert all(Settings.explain(name) for name in Settings.names())
    assert not set(INERT) & set(REFUSED)
    with pytest.raises(ConfigError, match="unknown"):
        Settings.explain("nothing_of_the_kind")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("udp:127.0.0.1:5060", ("udp", "127.0.0.1", 5060, "", 0, "")),
        ("127.0.0.1", ("", "127.0.0.1", 0, "", 0, "")),
        ("tcp:[::1]:5070/192.0.2.1:99", ("tcp", "::1", 5070, "192.0.2.1", 99, "")),
        ('udp:eth0 advertise h.example:5060 name "s1"', ("udp", "eth0", 0, "h.example", 5060, "s1")),
        ("UDP:10.0.0.1:5060", ("udp", "10.0.0.1", 5060, "", 0, "")),
    ],
)
def test_listen(text: str, wanted: tuple[object, ...]) -> None:
    spec = parse_listen(text)
    got = (spec.proto, spec.host, spec.port, spec.advertise, spec.advertise_port, spec.name)
    assert got == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "udp:",
        "x:y:z",
        "udp:1.2.3.4:99999",
        "udp:1.2.3.4 wrong",
        "udp:a b",
        "udp:a virtually",
    ],
)
def test_bad_listen(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_listen(text)


SOURCE = Path(__file__).parents[2] / "src/kahea"


def test_every_parameter_has_its_effect() -> None:
    """A name in Settings is read somewhere; one that is not belongs into a table of `global_inert`."""
    readers = [p for p in SOURCE.rglob("*.py*") if p.suffix in (".py", ".pyx") and "global_" not in p.name]
    text = "\n".join(p.read_text() for p in readers)
    by_name = {f.name for f in fields(TcpLimits)} | set(DnsSettings.__annotations__)
    unread = {
        f.name
        for f in fields(Settings)
        if f.name not in by_name and re.search(rf"\b_?settings\.{f.name}\b", text) is None
    }
    assert unread == set()
