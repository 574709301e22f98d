"""The declarations of a cfg: what becomes of each, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from kahea.engines.native.diagnostics import ERROR, CfgError
from kahea.engines.native.load import load, read
from kahea.engines.native.parser import parse_text
from kahea.routing.global_inert import NO_SCTP
from kahea.routing.settings import Configuration, parse_listen

CFG = Path("/etc/kahea/kamailio.cfg")


def loaded(text: str, **defines: str) -> Configuration:
    """The configuration of a text without errors."""
    return load(parse_text(text, str(CFG), defines), CFG)


def errors(text: str) -> list[str]:
    """`line:column: message; hint` of each error."""
    _, found = read(parse_text(text, str(CFG)), CFG)
    return [
        f"{d.place.line}:{d.place.column}: {d.message}" + (f"; {d.hint}" if d.hint else "")
        for d in found
        if d.level == ERROR
    ]


def test_everything_at_once() -> None:
    config = loaded(
        """
        debug=3
        disable_tcp=yes
        auto_aliases=7
        server_header="Server: mine"
        udp_mtu_try_proto=TCP
        tos=IPTOS_LOWDELAY
        advertised_address=192.0.2.7
        workdir="/tmp"
        alias="a.example" b.example:5070 udp:c.example:5080
        listen=udp:127.0.0.1:5060 advertise out.example:5062 name "one"
        listen=127.0.0.1
        socket = {
            bind = tcp:127.0.0.1:5060;
            name = "two";
            agname = "group";
        }
        kemi.reply_route_callback = "none"
        loadmodule "tm.so"
        loadmodule "sl"
        loadmodule "/usr/lib/kamailio/modules/usrloc.so"
        modparam("tm", "fr_timer", 3000)
        modparam("usrloc", "preload", "location")
        modparam("usrloc", "preload", "aliases")
        modparam("usrloc", "use_domain", no)
        request_route { exit; }
        """
    )
    settings = config.settings
    assert (settings.debug, settings.disable_tcp, settings.auto_aliases) == (3, True, True)
    assert settings.server_header == "Server: mine"
    assert (settings.udp_mtu_try_proto, settings.tos, settings.advertised_address) == (2, 0x10, "192.0.2.7")
    assert settings.workdir == "/tmp"
    assert settings.alias == ["a.example", "b.example:5070", "udp:c.example:5080"]
    assert settings.listen == [
        'udp:127.0.0.1:5060 advertise out.example:5062 name "one"',
        "127.0.0.1",
        'tcp:127.0.0.1:5060 name "two" agname "group"',
    ]
    assert settings.kemi_reply_route_callback == "none"
    assert config.load == ["tm", "sl", "usrloc"]
    assert config.modules == {
        "tm": [("fr_timer", 3000)],
        "usrloc": [("preload", "location"), ("preload", "aliases"), ("use_domain", 0)],
    }


def test_what_has_no_effect_is_noted_with_its_place() -> None:
    config = loaded('\nchildren=8\nloadpath "/usr/lib"\nrequest_route { exit; }')
    assert [note.partition(" has no effect here: ")[0] for note in config.notes] == [
        f"{CFG}:2:1: children",
        f"{CFG}:3:1: loadpath",
    ]


def test_wishes_that_come_true_anyway_are_no_errors() -> None:
    text = (
        'loadmodule "tm.so"\nmodparam("tm", "pass_provisional_replies", 1)\nmodparam("tm", "via1_matching", 0)\n'
        "request_route { exit; }"
    )
    assert loaded(text).modules["tm"] == [("pass_provisional_replies", 1), ("via1_matching", 0)]


def test_flags_take_the_lowest_free_numbers() -> None:
    # What Kamailio 5.6.3 gives them.
    config = loaded("flags A:3, B, C , D:31, E\navpflags X, Y")
    assert config.flags == {"A": 3, "B": 0, "C": 1, "D": 31, "E": 2}
    assert config.avp_flags == {"X": 0, "Y": 1}


def test_own_variables_and_their_instances() -> None:
    runtime = loaded('my[3].a = 7\nmy.a = 5 desc "How many"\nmy.b = "text"\nmy.c = yes').runtime
    assert [runtime.get("my", name) for name in ("a", "b", "c", "d")] == [5, "text", 1, None]
    assert runtime.get("my", "a", 3) == 7
    assert runtime.get("my", "b", 3) == "text"
    variable = runtime.find("my", "a")
    assert variable is not None
    assert variable.doc == "How many"
    runtime.set("my", "a", 6)
    runtime.set("my", "a", 8, 3)
    assert (runtime.get("my", "a"), runtime.get("my", "a", 3)) == (6, 8)
    runtime.reset("my", "a")
    runtime.reset("my", "a", 3)
    assert (runtime.get("my", "a"), runtime.get("my", "a", 3)) == (5, 5)


def test_modparamx_and_loadmodulex_know_definitions_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "/var/lib")
    config = loaded(
        '#!define USRLOC usrloc\nloadmodulex "$def(USRLOC).so"\n'
        'modparamx("$def(USRLOC)", "db_url", "sqlite:///$env(WHERE)/x.db")'
    )
    assert config.modules == {"usrloc": [("db_url", "sqlite:////var/lib/x.db")]}


def test_cfgengine_hands_the_routes_to_a_script(tmp_path: Path) -> None:
    script = tmp_path / "routes.py"
    script.write_text("def ksr_request_route():\n    pass\n")
    text = f'loadmodule "app_python3.so"\nmodparam("app_python3", "load", "{script}")\ncfgengine "python"'
    config = loaded(text)
    assert (config.script, config.language, config.load) == (script, "python", ["app_python3"])
    assert loaded('cfgengine "native"').script == CFG


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dbug=3", ["1:1: there is no global parameter dbug; did you mean debug?"]),
        ('debug="3"', ["1:7: debug takes a number, not a string; leave out the quotes"]),
        ("port=-1", ["1:6: port takes a number, not -1"]),
        ("server_header=5", ["1:15: server_header takes a string in quotes, not 5"]),
        ("disable_tcp=often", ["1:13: disable_tcp takes yes or no, not often"]),
        ("udp_mtu_try_proto=7", ["1:19: udp_mtu_try_proto takes udp, tcp or tls, not 7"]),
        ("enable_sctp=1", [f"1:13: global parameter enable_sctp: {NO_SCTP}"]),
        ("disable_sctp=no", [f"1:14: global parameter disable_sctp: {NO_SCTP}"]),
        ("coreparam[iud]=1", ["1:1: there is no coreparam iud; did you mean iuid?"]),
        ('iuid="east"', ["1:1: there is no global parameter iuid; it is coreparam[iuid]"]),
        ('tls_method="TLSv1"', ["1:12: tls_method takes one of SSLv2, SSLv3, SSLv23, TLSv1, not a string"]),
        ("tcp_poll_method=fast", [
            "1:17: tcp_poll_method takes one of poll, epoll_lt, epoll_et, sigio_rt, select, kqueue, /dev/poll, not fast"
        ]),
        ('tcp_source_ipv4="10.0.0.1"', ["1:17: tcp_source_ipv4 takes a bare address, not a string"]),
        ("tcp_source_ipv4=::1", ["1:17: global parameter tcp_source_ipv4 is an IPv4 address, not '::1'"]),
        ("workdir=yes", ["1:9: workdir takes a name, not yes"]),
        ('alias="a:b:c"', ["1:7: alias 'a:b:c' is not [proto:]host[:port]"]),
        ("listen=sctp:1.2.3.4:5061", [
            f"1:1: listen 'sctp:1.2.3.4:5061': {NO_SCTP}; "
            "beside others, `enable_sctp = 0` leaves it out"
        ]),
        ('loadmodule "xlogg.so"', ["1:1: there is no module 'xlogg'; did you mean 'xlog'?"]),
        ('loadmodule "db_oracle.so"', ["1:1: Kamailio's module db_oracle is not supported yet"]),
        ('loadmodule "sl.so"\nloadmodule "sl"', ["2:1: module sl is loaded already, on line 1"]),
        (
            'modparam("tm", "fr_timer", 5)\nloadmodule "tm.so"',
            ["1:1: module tm is not loaded; it is loaded after this, on line 2"],
        ),
        (
            'modparam("tm", "fr_timer", 5)',
            ['1:1: module tm is not loaded; loadmodule "tm.so" must come before this'],
        ),
        (
            'loadmodule "tm.so"\nmodparam("tm", "fr_timmer", 5)',
            ["2:1: module tm has no parameter 'fr_timmer'; did you mean fr_timer?"],
        ),
        (
            'loadmodule "tm.so"\nmodparam("tm", "fr_timer", "5")',
            ["2:28: parameter tm.fr_timer takes a number, not '5'; leave out the quotes"],
        ),
        (
            'loadmodule "usrloc.so"\nmodparam("usrloc", "db_url", 5)',
            ["2:30: parameter usrloc.db_url takes a string in quotes, not 5"],
        ),
        # As in Kamailio, each module of a list that is loaded must have the parameter.
        (
            'loadmodule "tm.so"\nloadmodule "usrloc.so"\nmodparam("tm|usrloc|rr", "db_mode", 1)',
            ["3:1: module tm has no parameter 'db_mode'; did you mean headers_mode?"],
        ),
        ("my.a = 5\nmy.a = 6", ["2:1: my.a is declared already"]),
        ("my[1].a = 5", ["1:1: my[1].a: my.a must be declared before"]),
        ("flags A:1, B:1, A, C:32", [
            "1:1: flag B: number 1 has another name already",
            "1:1: flag A is declared already",
            "1:1: flag C: flags are numbered from 0 to 31",
        ]),
        ('cfgengine "pythn"', ["1:1: there is no script language 'pythn'; did you mean python?"]),
        (
            'cfgengine "python"',
            ['1:1: cfgengine "python" needs modparam("app_python3 or app_python3s", "load", FILE)'],
        ),
        (
            'loadmodule "app_lua.so"\nmodparam("app_lua", "load", "/no/such.lua")',
            ["2:29: there is no file /no/such.lua"],
        ),
    ],
)  # fmt: skip
def test_errors(text: str, wanted: list[str]) -> None:
    assert errors(text) == wanted


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(CfgError) as caught:
        loaded('dbug=3\nloadmodule "xlogg.so"\nport="x"')
    assert len(caught.value.diagnostics) == 3
    assert f"{CFG}:1:1: error: there is no global parameter dbug" in str(caught.value)
    assert "    dbug=3\n    ^" in str(caught.value)


def test_listeners_of_sctp_are_left_out_where_it_is_off() -> None:
    text = "listen=sctp:127.0.0.1:5062\nlisten=udp:127.0.0.1:5060\ndisable_sctp=yes\nrequest_route { exit; }"
    configuration = load(parse_text(text, "kamailio.cfg"), Path("kamailio.cfg"))
    assert configuration.settings.listen == ["udp:127.0.0.1:5060"]
    assert configuration.notes == ["kamailio.cfg:1:1: nothing listens on sctp:127.0.0.1:5062: SCTP is off"]
    # Without another, the server would listen everywhere, or nowhere.
    text = "listen=sctp:127.0.0.1:5062\ndisable_sctp=yes\nrequest_route { exit; }"
    assert "1:1: listen 'sctp:127.0.0.1:5062'" in errors(text)[0]


def test_names_that_came_later() -> None:
    text = """alias=a.example
domain=b.example:5060
auto_domains=no
coreparam[iuid]="east"
coreparam[random_engine]="fast"
coreparam[timer_sanity_check]=1
enable_sctp=2
request_route { exit; }"""
    configuration = load(parse_text(text, "kamailio.cfg"), Path("kamailio.cfg"))
    settings = configuration.settings
    assert settings.alias == ["a.example", "b.example:5060"]
    assert not settings.auto_aliases
    assert settings.iuid == "east"
    assert [note.split()[1] for note in configuration.notes] == ["random_engine", "timer_sanity_check", "enable_sctp"]
    assert errors("coreparam[iuid]=7") == []


def test_sockets_of_a_range_of_ports() -> None:
    attributes = 'advertise = 192.0.2.1:7000; name = "in"; vrf = "red"; virtual = yes;'
    text = f"socket = {{ bind = udp:10.0.0.1:5060-5062; {attributes} }}"
    configuration = load(parse_text(f"{text}\nrequest_route {{ exit; }}", "kamailio.cfg"), Path("kamailio.cfg"))
    assert configuration.settings.listen == [
        'udp:10.0.0.1:5060 advertise 192.0.2.1:7000 name "in5060" vrf "red" virtual',
        'udp:10.0.0.1:5061 advertise 192.0.2.1:7001 name "in5061" vrf "red" virtual',
        'udp:10.0.0.1:5062 advertise 192.0.2.1:7002 name "in5062" vrf "red" virtual',
    ]
    spec = parse_listen(configuration.settings.listen[2])
    assert (spec.port, spec.advertise_port, spec.name, spec.vrf, spec.virtual) == (5062, 7002, "in5062", "red", True)


@pytest.mark.parametrize("ports", ["5062-5060", "5060-70000", "5060-", "0-5"])
def test_no_range_of_ports(ports: str) -> None:
    with pytest.raises(CfgError):
        parse_text(f"socket = {{ bind = udp:10.0.0.1:{ports}; }}\nrequest_route {{ exit; }}", "kamailio.cfg")
