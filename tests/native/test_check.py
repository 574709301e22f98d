"""What `kahea check` must not say: cfgs that are all right."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from kahea.cli.check import report
from kahea.engines.native.diagnostics import NOTE

HEAD = "\n".join(
    f'loadmodule "{name}.so"'
    for name in ("tm", "sl", "rr", "pv", "textops", "siputils", "xlog", "usrloc", "registrar", "kex", "auth", "auth_db")
)


def findings(folder: Path, text: str) -> list[str]:
    """The errors and warnings."""
    path = folder / "kamailio.cfg"
    path.write_text(HEAD + "\n" + textwrap.dedent(text))
    return [f"{d.place.line}: {d.code}: {d.message}" for d in report(path, {}).diagnostics if d.level != NOTE]


@pytest.mark.parametrize(
    "body",
    [
        "if (src_ip != 192.0.2.1) exit; t_relay();",
        "if ($si != '192.0.2.1') exit; t_relay();",
        "if (uri != myself && is_method('INVITE')) { exit; } t_relay();",
        "if ($rd =~ 'example') { t_relay(); }",
        "if (!lookup('location')) { sl_send_reply('404', 'No'); exit; } t_relay();",
        "$du = 'sip:192.0.2.1'; t_relay();",
        "rewritehost('192.0.2.1'); t_relay();",
        "if (has_totag()) { if (loose_route()) t_relay(); exit; }",
        "if (!has_totag()) exit; t_relay();",
        "if (is_method('CANCEL')) { if (t_check_trans()) t_relay(); exit; }",
        "if (method == 'ACK') t_relay();",
        "switch ($si) { case '192.0.2.1': t_relay(); }",
        "switch ($rm) { case 'ACK': case 'BYE': t_relay(); }",
        "route(CHECK); t_relay();",
        "if (!route(CHECK)) exit; t_relay();",
        "if (!proxy_authenticate('x', 'subscriber')) { proxy_challenge('x', '0'); exit; } t_relay();",
        "if (route(ASK)) t_relay();",
        "if (!route(ASK)) exit; t_relay();",
        "route(ASK); if ($rc < 0) exit; t_relay();",
        "proxy_authenticate('x', 'subscriber'); switch ($rc) { case -1: exit; } t_relay();",
        "$var(ok) = proxy_authenticate('x', 'subscriber'); if ($var(ok) < 0) exit; t_relay();",
        "lookup('location'); if ($retcode < 0) exit; t_relay();",
        "t_relay_to_udp('192.0.2.1', '5060');",
        "route(LOOP); t_relay();",
    ],
)
def test_a_relay_that_is_guarded(tmp_path: Path, body: str) -> None:
    called = {
        "CHECK": "route[CHECK] { if (src_ip != 192.0.2.1) { return -1; } return 1; }\n",
        "ASK": "route[ASK] { if (proxy_authenticate('x', 'subscriber')) return 1; return -1; }\n",
        "LOOP": "route[LOOP] { if (uri == myself) route(LOOP); else exit; }\n",
    }
    routes = [text for name, text in called.items() if name in body]
    assert findings(tmp_path, f"request_route {{ {body} }}\n{''.join(routes)}") == []


@pytest.mark.parametrize(
    "body",
    [
        "t_relay();",
        "if (is_method('INVITE')) t_relay();",
        "if (is_method('BYE|INVITE')) t_relay();",
        "if (has_totag()) exit; t_relay();",
        "if (from_uri == myself) t_relay();",
        "if (has_totag() || is_method('INVITE')) t_relay();",
        "switch ($rm) { case 'INVITE': record_route(); default: t_relay(); }",
        "while ($var(i) < 3) { $var(i) = $var(i) + 1; } t_relay();",
        "if (src_ip == 192.0.2.1 && is_method('INVITE')) exit; else t_relay();",
        "proxy_authenticate('x', 'subscriber'); t_relay();",
        "if (!proxy_authenticate('x', 'subscriber')) proxy_challenge('x', '0'); t_relay();",
        "if (!proxy_authenticate('x', 'subscriber')) t_relay();",
        "route(ASK); t_relay();",
        "if (!route(ASK)) t_relay();",
        "lookup('location'); t_relay();",
    ],
)
def test_a_relay_that_is_not(tmp_path: Path, body: str) -> None:
    called = "route[ASK] { if (proxy_authenticate('x', 'subscriber')) return 1; return -1; }\n" if "ASK" in body else ""
    found = findings(tmp_path, f"request_route {{ {body} }}\n{called}")
    relays = [each for each in found if "open-relay" in each]
    assert len(relays) == ("src_ip" not in body), found


@pytest.mark.parametrize(
    "text",
    [
        # what a preprocessor's directive leaves in or out
        """
        #!define WITH_A
        #!define YES 1
        request_route {
            if (YES) route(X);
        #!ifdef WITH_A
            exit;
        #!endif
            $var(x) = 1;
        }
        route[X] { return; }
        """,
        # an end behind an end, which costs nothing
        """
        request_route {
            switch ($rs) {
                case 1:
                    exit;
                    break;
                case 2:
                case 3:
                    drop;
            }
            while (1) { break; }
            return;
        }
        """,
        # routes that are named by functions, modules, variables
        """
        request_route {
            t_on_failure("F"); t_on_reply("R"); t_on_branch("B");
            route("A" + $var(n));
        }
        route[A1] { $var(n) = 2; }
        failure_route[F] { t_on_branch_failure("BF"); }
        onreply_route[R] { route(A1); }
        branch_route[B] { exit; }
        event_route[tm:branch-failure:BF] { exit; }
        event_route[core:worker-one-init] { exit; }
        """,
        # variables that functions and statements set
        """
        request_route {
            $var(a) = $var(a) + 1;
            pv_printf("$var(b)", "x");
            xlog("$var(b)");
        }
        """,
        # conditions that only look constant
        """
        request_route {
            if ($rm == "INVITE" || $rm == "ACK") exit;
            if ($rm != "INVITE" && $rm != "ACK") exit;
            if (!($rU == "x")) exit;
            if (!uri == myself) exit;
            if ($ua =~ "a|b" && $ua =~ "c\\\\|") exit;
        }
        """,
    ],
)
def test_nothing_to_say(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, text) == []


def test_a_part_of_a_cfg_has_routes_for_others(tmp_path: Path) -> None:
    path = tmp_path / "part.cfg"
    path.write_text("route[A] { exit; }\nevent_route[xhttp:request] { exit; }\n")
    assert [d.code for d in report(path, {}).diagnostics] == ["no-main-route"]
