"""JavaScript scripts: what they may do, what they get, how they are stopped, and that none sees another's message."""

from __future__ import annotations

import pytest

from kahea.routing.module import ConfigError


@pytest.fixture
def js(kahea):
    """Starts a node with a JavaScript script."""

    def start(script, **options):
        modules = {"app_jsdt": options.pop("app_jsdt", {})}
        return kahea.node(f"{script}\n", "udp:10.0.0.9:5060", language="js", modules=modules, **options)

    return start


@pytest.fixture
def answer(js, kahea):
    """Runs statements for one request; what they pass to `say`, as the reply's reason."""

    def run(body, **options):
        say = "function say(v) { KSR.sl.sl_send_reply(200, String(v)); }"
        js(f"{say}\nfunction ksr_request_route() {{\n{body}\n}}", **options)
        return kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9", headers=[("X-A", "1")]).wait().reason

    return run


def test_a_call_through_a_javascript_script(js, kahea):
    js("""
function ksr_request_route() {
  if (KSR.tm.t_check_trans() == 0) { return 1; }
  if (KSR.siputils.has_totag() > 0) {
    KSR.rr.loose_route();
    KSR.tm.t_relay();
    KSR.x.exit();
  }
  KSR.rr.record_route();
  KSR.tm.t_on_branch("ksr_branch_one");
  KSR.tm.t_on_reply("ksr_onreply_one");
  KSR.tm.t_on_failure("ksr_failure_one");
  KSR.tm.t_relay();
}
function ksr_branch_one() { KSR.hdr.append("X-Branch: " + KSR.pv.get("$T_branch_idx") + "\\r\\n"); }
function ksr_onreply_one() { KSR.hdr.append("X-Reply: " + KSR.kx.get_status() + "\\r\\n"); }
function ksr_failure_one() {
  if (KSR.tm.t_check_status("486") > 0) {
    KSR.seturi("sip:carol@10.0.0.3:5060");
    KSR.tm.t_relay();
  }
}
""")
    alice, bob = kahea.ua("alice", "udp:10.0.0.1:5060"), kahea.ua("bob", "udp:10.0.0.2:5060")
    carol = kahea.ua("carol", "udp:10.0.0.3:5060")
    call = alice.invite(bob)
    bob.reject(486)
    assert bob.received[0]["X-Branch"] == "0"
    carol.answer()
    assert call.wait(200)["X-Reply"] == "200"
    assert call.bye().status == 200
    kahea.finish()


def test_types_of_results(answer):
    assert (
        answer("""
      const w = KSR.waiting;
      say([typeof w.echo("a"), typeof w.number(7), w.null(), w.nothing(), w.truth(1), w.truth(0), w.number(-5),
        w.echo(5), w.number(4294967296 * 1000)].join(" "));
    """)
        == "string number  false true false -5 5 4294967296000"
    )


def test_text_survives(answer):
    assert (
        answer("""
      const texts = ["", "a\\0b", "caf\\u00e9", "\\ud83d\\ude00", "\\udcff\\udc80", "\\u4e2d\\0"];
      say(texts.every((t) => KSR.waiting.echo(t) === t) + " " + texts.every((t) => {
        KSR.pv.sets("$var(x)", t);
        return KSR.pv.get("$var(x)") === t;
      }));
    """)
        == "true true"
    )


def test_bytes_of_a_message_are_seen_and_sent_as_they_are(js, kahea):
    js("""function ksr_request_route() {
      KSR.hdr.append_to_reply("X-Back: " + KSR.hdr.get("X-Odd") + KSR.hdr.get("X-Odd").length + "\\r\\n");
      KSR.sl.sl_send_reply(200, "OK");
    }""")
    alice = kahea.ua("alice", "udp:10.0.0.1:5060")
    alice.send(
        b"OPTIONS sip:10.0.0.9 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nf: sip:alice@10.0.0.1;tag=1\r\n"
        b"t: sip:10.0.0.9\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nX-Odd: \xff\xc3\xa9\xfe\r\n\r\n"
    )
    assert alice.expect(200)["X-Back"].encode("utf-8", "surrogateescape") == b"\xff\xc3\xa9\xfe3"


def test_arguments_are_converted_as_javascript_does(answer, kahea):
    # As app_jsdt of Kamailio 5.6.3 was seen to do.
    assert (
        answer("""
      const { number, echo } = KSR.waiting;
      say([number("12"), number(3.7), number("x"), number(null), number(undefined), number({}), number(NaN),
        echo(null), echo(undefined), echo({}), echo(true), echo(1.5), echo("extra", 2), number()].join(" "));
    """)
        == "12 3 0 0 0 0 0 null undefined [object Object] true 1.5 extra false"
    )
    assert kahea.errors == ["kahea.script: KSR.waiting.number takes 1 argument, not 0"]
    kahea.errors.clear()


def test_functions_are_plain_objects(answer):
    assert (
        answer("""
      say([KSR.nosuch === undefined, KSR.tm.nosuch === undefined, Object.keys(KSR).includes("tm"),
        Object.keys(KSR.tm).length > 20, typeof KSR.tm.t_relay, typeof KSR.info, KSR.tm === KSR.tm,
        Object.keys(globalThis).filter((name) => name.startsWith("__")).length].join(" "));
    """)
        == "true true true true function function true 0"
    )


def test_exit_throws_as_in_kamailio(answer):
    assert (
        answer("""
      try { KSR.x.exit(); } catch (e) { say(e); }
      KSR.x.exit();
      KSR.sl.sl_send_reply(500, "unreachable");
    """)
        == "~~ksr~exit~~"
    )


def test_drop_in_a_branch(js, kahea):
    js("""
function ksr_request_route() {
  KSR.corex.append_branch_uri("sip:carol@10.0.0.3:5060");
  KSR.tm.t_on_branch("pick");
  KSR.tm.t_relay();
}
function pick() {
  if (KSR.pv.get("$rU") == "bob") KSR.x.drop();
}
""")
    alice, bob = kahea.ua("alice", "udp:10.0.0.1:5060"), kahea.ua("bob", "udp:10.0.0.2:5060")
    carol = kahea.ua("carol", "udp:10.0.0.3:5060")
    sent = alice.request("MESSAGE", bob, body="hi")
    carol.reply(carol.expect("MESSAGE"), 200)
    assert sent.wait().status == 200
    bob.expect_nothing("MESSAGE", within=1)


def test_exit_in_a_route_ends_what_called_it(js, kahea):
    js("""
function inner() { KSR.x.exit(); }
function ksr_request_route() {
  KSR.sl.sl_send_reply(200, "first");
  KSR.route("inner");
  throw "not reached";
}
""")
    assert kahea.ua("alice").options("sip:10.0.0.9").reason == "first"


def test_modf(answer, kahea):
    assert answer('say(KSR.x.modf("number", "$(rU{s.len})") + " " + KSR.x.modf("nosuch"));') == "3 -1"
    assert "nosuch" in kahea.errors[0]
    kahea.errors.clear()


def test_functions_in_callbacks_generators_and_promises(answer):
    assert (
        answer("""
      const replaced = "ab".replace(/\\w/g, (c) => { KSR.waiting.sleep(10); return KSR.waiting.echo(c + "!"); });
      function* each() { for (const x of [1, 2]) { KSR.waiting.sleep(10); yield KSR.waiting.number(x); } }
      const sorted = [3, 1, 2].sort((a, b) => KSR.waiting.number(a) - KSR.waiting.number(b));
      Promise.resolve("z").then((z) => say(replaced + [...each()].join("") + sorted.join("") + z));
    """)
        == "a!b!12123z"
    )


def test_an_error_names_file_and_line(js, kahea):
    node = js("function ksr_request_route() {\n  helper(null);\n}\nfunction helper(x) {\n  x.y = 1;\n}")
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    (error,) = kahea.errors
    script = node.node.configuration.script
    assert f"{script}:5:" in error.splitlines()[0]
    assert "TypeError" in error
    assert f"at ksr_request_route ({script}:2:" in error
    kahea.errors.clear()


def test_an_error_of_a_function_keeps_its_exception(js, kahea):
    js('function ksr_request_route() {\n  KSR.waiting.fail("deep \\u00e9");\n}')
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    (error,) = kahea.errors
    assert "script.js:2:" in error
    assert "LookupError: deep \u00e9" in error
    assert "extra/waiting.py" in error
    kahea.errors.clear()


def test_a_script_can_catch_an_error_of_a_function(answer):
    assert answer('try { KSR.waiting.fail("deep"); } catch (e) { say(e.message); }') == "deep"


def test_a_promise_that_nobody_handles_is_an_error(js, kahea):
    js("""
function ksr_request_route() {
  Promise.reject(new Error("handled later")).catch(() => 0);
  Promise.resolve().then(() => {
    KSR.waiting.fail("lost");
  });
}""")
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    assert "script.js:5:" in kahea.errors[0]
    assert "lost" in kahea.errors[0]
    kahea.errors.clear()


@pytest.mark.parametrize(
    "loop",
    [
        "while (true) ;",
        "while (true) { try { while (true) ; } catch (e) { } finally { } }",
        "while (true) KSR.is_INFO();",
        "(function f() { try { f(); } finally { f(); } })();",
        "/(a+)+$/.test('a'.repeat(40) + 'b');",
        "[1].forEach(() => { while (true) KSR.waiting.echo('x'); });",
        "Promise.resolve().then(function again() { return Promise.resolve().then(again); });",
    ],
)
def test_a_script_that_never_ends_is_stopped(js, kahea, loop):
    js(
        f"function ksr_request_route() {{\nif (KSR.is_OPTIONS()) {{ {loop} }}\nKSR.sl.sl_send_reply(200, 'OK'); }}",
        app_jsdt={"time_limit": 50},
    )
    alice = kahea.ua("alice")
    statuses = {alice.options("sip:10.0.0.9").status for _ in range(2)}
    assert statuses <= {200, 500}
    assert len(kahea.errors) == 2
    assert any(why in kahea.errors[0] for why in ("over its time limit", "stack size exceeded", "out of memory"))
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


@pytest.mark.parametrize(
    "loop",
    [
        "const t = []; while (true) t.push('x'.repeat(1000) + t.length);",
        "'x'.repeat(100000000);",
        "const t = []; while (true) try { t.push('x'.repeat(1000) + t.length); } catch (e) { }",
        "const f = () => f() + 1; f();",
    ],
)
def test_a_script_that_takes_too_much_memory_is_stopped(js, kahea, loop):
    js(
        f"function ksr_request_route() {{\nif (KSR.is_OPTIONS()) {{ {loop} }}\nKSR.sl.sl_send_reply(200, 'OK'); }}",
        app_jsdt={"memory_limit": 4, "time_limit": 100},
    )
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").status == 500
    assert any(why in kahea.errors[0] for why in ("out of memory", "without waiting", "stack size exceeded"))
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


def test_500_scripts_wait_side_by_side(js, kahea):
    """Each sees its own message before and after; all together wait as long as one."""
    js("""
function ksr_request_route() {
  const before = KSR.pv.get("$rU"), id = KSR.pv.get("$ci");
  KSR.pv.sets("$var(mine)", before);
  for (let i = 1; i <= 3; i++) {
    KSR.waiting.sleep(40 - i);
    if (KSR.pv.get("$rU") != before || KSR.pv.get("$ci") != id || KSR.pv.get("$var(mine)") != before)
      throw new Error("another script's message");
  }
  KSR.sl.sl_send_reply(200, "for " + KSR.pv.get("$rU"));
}
""")
    alice = kahea.ua("alice")
    alice.retransmits = False
    began = kahea.elapsed
    sent = [alice.request("OPTIONS", f"sip:user{n}@10.0.0.9") for n in range(500)]
    for n, request in enumerate(sent):
        assert request.wait().reason == f"for user{n}"
    assert kahea.elapsed - began < 0.2


def test_scripts_end_in_any_order(js, kahea):
    js("""
function ksr_request_route() {
  KSR.waiting.sleep(KSR.pv.get("$rU"));
  if (KSR.pv.get("$rU") == "20") throw new Error("at " + KSR.pv.get("$rU"));
  if (KSR.pv.get("$rU") == "30") { KSR.sl.sl_send_reply(200, "left"); KSR.x.exit(); }
  KSR.sl.sl_send_reply(200, "slept " + KSR.pv.get("$rU"));
}
""")
    alice = kahea.ua("alice")
    for _ in range(3):
        sent = [alice.request("OPTIONS", f"sip:{ms}@10.0.0.9") for ms in (50, 10, 30, 20, 40)]
        reasons = [one.wait().reason for one in sent]
        assert reasons == ["slept 50", "slept 10", "left", "Server Internal Error", "slept 40"]
    assert len(kahea.errors) == 3
    kahea.errors.clear()


def test_an_event_route_gets_the_events_name(js, kahea):
    js("""
function ksr_request_route() { }
function ksr_event_tm_local_response(name) { KSR.log("err", name); }
""")
    kahea.nodes[0].node.run_event("tm:local-response")
    assert kahea.errors == ["kahea.script: tm:local-response"]
    kahea.errors.clear()


def test_require_finds_what_lies_beside_the_script(kahea, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "names.js").write_text("exports.greeting = require('./word') + '!'; exports.count = 0;\n")
    (tmp_path / "lib" / "word.js").write_text("module.exports = 'aloha';\n")
    script = tmp_path / "router.js"
    script.write_text(
        "var names = require('./lib/names');\n"
        "function ksr_request_route() { require('./lib/names').count++;"
        " KSR.sl.sl_send_reply(200, names.greeting + names.count); }\n"
    )
    node = kahea.node(script, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").reason == "aloha!1"
    # Nothing of a change is seen before a reload, and all of it after.
    (tmp_path / "lib" / "word.js").write_text("module.exports = 'e komo mai';\n")
    assert alice.options("sip:10.0.0.9").reason == "aloha!2"
    node.reload()
    assert alice.options("sip:10.0.0.9").reason == "e komo mai!1"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("function ksr_request_route() {\n  if (\n}", r"script.js:3:\d+: SyntaxError: "),
        ("var x = {};\nx.a.b;\n", r"script.js:2:\d+: TypeError: "),
        ("function main() { }", "there is no ksr_request_route in it"),
        ("while (true) ;", "without waiting"),
        ("KSR.waiting.fail('x');", r"script.js:1:\d+: Error: x"),
        ("require('./nosuch');", "require: there is no ./nosuch"),
    ],
)
def test_a_script_that_does_not_load(js, kahea, script, message):
    with pytest.raises(ConfigError, match=message):
        js(script, app_jsdt={"time_limit": 50})


def test_a_reload_that_fails_leaves_the_old_script(js, kahea):
    node = js('function ksr_request_route() { KSR.waiting.sleep(100); KSR.sl.sl_send_reply(200, "old"); }')
    alice = kahea.ua("alice")
    script = node.node.configuration.script
    script.write_text("function ksr_request_route( {")
    with pytest.raises(ConfigError):
        node.reload()
    assert alice.options("sip:10.0.0.9").reason == "old"
    under_way = alice.request("OPTIONS", "sip:10.0.0.9")
    kahea.run(0.05)
    script.write_text('function ksr_request_route() { KSR.sl.sl_send_reply(200, "new"); }')
    node.reload()
    assert alice.options("sip:10.0.0.9").reason == "new"
    assert under_way.wait().reason == "old"
