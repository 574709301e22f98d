"""`kahea convert`: what a cfg becomes in Python, statement by statement, and that the stock cfg reads well."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kahea.engines.native.convert import convert
from kahea.engines.native.parser import parse_file, parse_text
from kahea.routing.node import Node

STOCK = Path("/etc/kamailio/kamailio.cfg")


@pytest.fixture(scope="module")
def node() -> Node:
    return Node()


def routes(node: Node, cfg: str) -> str:
    """The functions that a cfg becomes."""
    script = convert(parse_text(textwrap.dedent(cfg), "test.cfg", {}), node, "test.cfg").script
    ast.parse(script)
    return script.partition("def ")[1] + script.partition("def ")[2]


def body(node: Node, statements: str) -> str:
    """What statements in a request route become."""
    text = routes(node, "request_route {\n" + textwrap.dedent(statements) + "\n}")
    return textwrap.dedent(text.partition("\n")[2]).rstrip()


@pytest.mark.parametrize(
    ("native", "python"),
    [
        # conditions
        ('if (is_method("INVITE")) drop;', 'if KSR.is_method("INVITE"):\n    KSR.set_drop()'),
        ("if (has_totag()) exit;", "if KSR.siputils.has_totag() > 0:\n    return"),
        ("if (!has_totag()) exit;", "if KSR.siputils.has_totag() < 0:\n    return"),
        ('if ($rU == "a") exit;', 'if KSR.pv.gete("$rU") == "a":\n    return'),
        ('if ($rU != "a") exit;', 'if KSR.pv.gete("$rU") != "a":\n    return'),
        ("if ($rU == $null) exit;", 'if KSR.pv.is_null("$rU"):\n    return'),
        ("if ($rU != $null) exit;", 'if not KSR.pv.is_null("$rU"):\n    return'),
        ("if ($rs == 200) exit;", 'if KSR.pv.geti("$rs") == 200:\n    return'),
        ("if ($var(x) > 3 && !($ml < 10)) exit;",
         'if KSR.pv.geti("$var(x)") > 3 and not KSR.pv.geti("$ml") < 10:\n    return'),
        ("if (uri==myself || src_ip!=myself) exit;",
         "if KSR.is_myself_ruri() or not KSR.is_myself_srcip():\n    return"),
        ("if (src_ip==10.0.0.0/8) exit;",
         'if ipaddress.ip_address(KSR.pv.get("$si")) in ipaddress.ip_network("10.0.0.0/8"):\n    return'),
        ('if ($ua =~ "a|b") exit;', 'if re.search("a|b", KSR.pv.gete("$ua"), re.IGNORECASE):\n    return'),
        ('if (method=="ACK") exit;', "if KSR.is_ACK():\n    return"),
        ("if (proto==UDP) exit;", 'if KSR.pv.get("$pr") == "udp":\n    return'),
        ('if (defined $avp(x)) exit;', 'if not KSR.pv.is_null("$avp(x)"):\n    return'),
        ('if (strempty($rU)) exit;', 'if KSR.pv.gete("$rU") == "":\n    return'),
        # assignments
        ('$ru = "sip:a@b";', 'KSR.pv.sets("$ru", "sip:a@b")'),
        ('$ru = "sip:" + $rU + "@b";', "KSR.pv.sets(\"$ru\", f\"sip:{KSR.pv.gete('$rU')}@b\")"),
        ("$var(i) = $var(i) + 1;", 'KSR.pv.seti("$var(i)", KSR.pv.geti("$var(i)") + 1)'),
        ("$du = $null;", 'KSR.pv.unset("$du")'),
        ("$(avp(x)[*]) = 5;", 'KSR.pv.seti("$(avp(x)[*])", 5)'),
        ("$var(i) = (1 + 2) * 3 - (4 - 5);", 'KSR.pv.seti("$var(i)", (1 + 2) * 3 - (4 - 5))'),
        # calls
        ('sl_send_reply("404", "Not here");', 'KSR.sl.sl_send_reply(404, "Not here")'),
        ('append_hf("X: $ru\\r\\n");', "KSR.hdr.append(f\"X: {KSR.pv.getw('$ru')}\\r\\n\")"),
        ('xlog("L_INFO", "$ru\\n");', 'KSR.xlog.xinfo("$ru\\n")'),
        ('xavp_params_explode("$hdr(X)", "x");', 'KSR.pvx.xavp_params_explode(KSR.pv.gete("$hdr(X)"), "x")'),
        ("setflag(3);", "KSR.setflag(3)"),
        ("force_rport();", "KSR.force_rport()"),
        ('lookup("location");\n$var(r) = $rc;',
         'rc = KSR.registrar.lookup("location")\nKSR.pv.seti("$var(r)", rc)'),
        ('if (!lookup("location")) { $var(r) = $rc; }',
         'if (rc := KSR.registrar.lookup("location")) < 0:\n    KSR.pv.seti("$var(r)", rc)'),
        ("t_check_trans();\nt_release();", "if KSR.tm.t_check_trans() == 0:\n    return\nKSR.tm.t_release()"),
        # blocks
        ("while ($var(i) < 3) { $var(i) = $var(i) + 1; if ($var(i) == 2) break; }",
         'while KSR.pv.geti("$var(i)") < 3:\n    KSR.pv.seti("$var(i)", KSR.pv.geti("$var(i)") + 1)\n'
         '    if KSR.pv.geti("$var(i)") == 2:\n        break'),
        ('switch ($rU) { case "a": case "b": exit; default: setflag(1); break; }',
         'match KSR.pv.gete("$rU"):\n    case "a" | "b":\n        return\n    case _:\n        KSR.setflag(1)'),
        ('switch ($rs) { case 1: setflag(1); case 2: setflag(2); }',
         'match KSR.pv.geti("$rs"):\n    case 1:\n        KSR.setflag(1)\n        KSR.setflag(2)\n'
         '    case 2:\n        KSR.setflag(2)'),
        ("exit;\nsetflag(1);", "pass"),
        ('if ($rm == "A") { if ($rU == "b" || $rU == "c") { setflag(1); } }',
         'if (\n    KSR.pv.gete("$rm") == "A"\n'
         '    and (KSR.pv.gete("$rU") == "b" or KSR.pv.gete("$rU") == "c")\n):\n    KSR.setflag(1)'),
        ('if (is_method("ACK")) { if (has_totag()) exit; else setflag(1); }',
         'if KSR.is_method("ACK"):\n    if KSR.siputils.has_totag() > 0:\n        return\n    else:\n'
         '        KSR.setflag(1)'),
        ('while ($var(i) < 3) { if ($rU == "a") { setflag(1); return; } }',
         'while KSR.pv.geti("$var(i)") < 3:\n    if KSR.pv.gete("$rU") == "a":\n'
         '        KSR.setflag(1)\n        return'),
        ('if ($rU == "a") { if ($rU == "b") { setflag(1); return; } }',
         'if KSR.pv.gete("$rU") == "a" and KSR.pv.gete("$rU") == "b":\n    KSR.setflag(1)'),
    ],
)  # fmt: skip
def test_statements(node: Node, native: str, python: str) -> None:
    assert body(node, native) == python


def test_comments_stay_beside_what_they_are_about(node: Node) -> None:
    assert body(
        node,
        """
        # one
        setflag(1); # two

        /* three
         * four */
        if (is_method("ACK")) {
            # five
            exit;
        } else {
            # six
            setflag(2);
        }
        """,
    ) == textwrap.dedent(
        """\
        # one
        KSR.setflag(1)  # two

        # three
        # four
        if KSR.is_method("ACK"):
            # five
            return
        else:
            # six
            KSR.setflag(2)"""
    )


def test_comments_between_routes_and_inside_conditions(node: Node) -> None:
    cfg = """
        # about this file

        # the main route
        request_route {
            if (is_method("ACK")) {
                # why
                if (has_totag()) { exit; }
            }
            if (is_method("BYE")) { # which
                if (has_totag()) { exit; }
            }
            # at its end
        }

        # a part of the file

        # what is called
        route[A] { return; }
        # the end
        """
    assert routes(node, cfg) == textwrap.dedent(
        """\
        def ksr_request_route():
            # why
            if KSR.is_method("ACK") and KSR.siputils.has_totag() > 0:
                return
            if KSR.is_method("BYE"):  # which
                if KSR.siputils.has_totag() > 0:
                    return
            # at its end


        # a part of the file

        # what is called
        def ksr_route_a():
            pass


        # the end
        """
    )


def test_routes_get_the_names_of_kemi(node: Node) -> None:
    cfg = """
        #!define FLAG 4
        request_route { if (route(ONE)) { route(TWO); } t_on_failure("MANAGE_FAILURE"); }
        route[ONE] { if (is_method("ACK")) return -1; setflag(FLAG); exit; }
        route[TWO] { return; }
        failure_route[MANAGE_FAILURE] { exit; }
        branch_route[X] { drop; }
        onreply_route[R] { drop; }
        event_route[tm:local-request] { exit; }
        """
    script = convert(parse_text(textwrap.dedent(cfg), "test.cfg", {}), node, "test.cfg").script
    assert script == textwrap.dedent(
        '''\
        """The routes of test.cfg."""

        import sys

        import KSR

        FLAG = 4


        def ksr_request_route():
            if ksr_route_one() > 0:
                ksr_route_two()
            KSR.tm.t_on_failure("ksr_failure_manage")


        def ksr_route_one():
            if KSR.is_method("ACK"):
                return -1
            KSR.setflag(FLAG)
            sys.exit()


        def ksr_route_two():
            pass


        def ksr_failure_manage():
            pass


        def ksr_branch_x():
            KSR.set_drop()


        def ksr_onreply_r():
            KSR.set_drop()


        def ksr_event_tm_local_request():
            pass
        '''
    )


def test_settings_stand_in_a_toml_beside_it(node: Node) -> None:
    cfg = """
        debug=3
        # how much
        # is said
        debug=2 # little
        alias="a.example"
        alias="b.example"
        alias=c.example
        listen=udp:192.0.2.1:5060 advertise 198.51.100.1:5060
        listen=tcp:192.0.2.1:5060
        loadmodule "tm.so"
        loadmodule "/usr/lib/kamailio/modules/sl.so"
        loadmodule "htable.so"
        modparam("htable", "htable", "a=>size=4")
        modparam("htable", "htable", "b=>size=4")
        modparam("tm", "fr_timer", 3000)
        # in milliseconds
        modparam("tm", "fr_timer", 5000)
        modparam("tm|s.", "default_reason", "a \\"b\\"")
        pstn.gw_ip = "10.0.0.1" desc "the gateway"
        request_route { exit; }
        """
    settings = convert(parse_text(textwrap.dedent(cfg), "test.cfg", {}), node, "test.cfg").settings
    assert settings == textwrap.dedent(
        """\
        load = ["tm", "sl", "htable"]

        [global]
        listen = ["udp:192.0.2.1:5060 advertise 198.51.100.1:5060", "tcp:192.0.2.1:5060"]
        # how much
        # is said
        debug = 2  # little
        alias = ["a.example", "b.example", "c.example"]

        [variables.pstn]
        gw_ip = "10.0.0.1"

        [modules.htable]
        htable = ["a=>size=4", "b=>size=4"]

        [modules.tm]
        # in milliseconds
        fr_timer = 5000
        default_reason = 'a "b"'

        [modules.sl]
        default_reason = 'a "b"'
        """
    )


@pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")
@pytest.mark.parametrize(
    "defines", [(), ("AUTH", "NAT", "PSTN", "VOICEMAIL", "PRESENCE", "IPAUTH", "ALIASDB", "ANTIFLOOD")]
)
def test_ruff_has_nothing_to_say_of_it(node: Node, defines: tuple[str, ...]) -> None:
    program = parse_file(STOCK, {f"WITH_{each}": "" for each in ("MYSQL", *defines)})
    script = convert(program, node, "kamailio.cfg").script
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")
def test_the_stock_cfg_reads_as_a_person_would_have_written_it(node: Node) -> None:
    script = convert(parse_file(STOCK, {}), node, "kamailio.cfg").script
    for piece in (
        "# Main SIP request routing logic",
        '    if KSR.is_method("INVITE"):\n        KSR.setflag(FLT_ACC)  # do accounting\n',
        '    if (rc := KSR.registrar.lookup("location")) < 0:\n        KSR.pv.seti("$var(rc)", rc)\n',
        '            case -1 | -3:\n                KSR.sl.send_reply(404, "Not Found")\n                sys.exit()\n',
        "        else:\n            # ACK without matching transaction ... ignore and discard\n"
        "            sys.exit()\n",
    ):
        assert piece in script
    assert set(re.findall(r'modf\("(\w+)"', script)) == {"sl_reply_error"}
