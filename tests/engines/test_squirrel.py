"""Squirrel scripts: what they may do, what they get, how they are stopped, and that none sees another's message."""

from __future__ import annotations

import sys

import pytest

from kahea.routing.module import ConfigError


@pytest.fixture
def sq(kahea):
    """Starts a node with a Squirrel script."""

    def start(script, **options):
        modules = {"app_sqlang": options.pop("app_sqlang", {})}
        return kahea.node(f"{script}\n", "udp:10.0.0.9:5060", language="sq", modules=modules, **options)

    return start


@pytest.fixture
def answer(sq, kahea):
    """Runs statements for one request; what they pass to `say`, as the reply's reason."""

    def run(body, **options):
        say = 'function say(v) { KSR.sl.sl_send_reply(200, "" + v); }'
        sq(f"{say}\nfunction ksr_request_route() {{\n{body}\n}}", **options)
        return kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9", headers=[("X-A", "1")]).wait().reason

    return run


def test_a_call_through_a_squirrel_script(sq, kahea):
    sq("""
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
      local w = KSR.waiting, r = [typeof w.echo("a"), typeof w.number(7), typeof w["null"](), w.nothing(), w.truth(1),
        w.truth(0), w.number(-5), w.echo(5), KSR.waiting.number(4294967296 * 1000)];
      say(r.reduce(@(a, b) a + " " + b));
    """)
        == "string integer null false true false -5 5 4294967296000"
    )


def test_bytes_survive(answer):
    assert (
        answer("""
      local same = true, texts = ["", "a\\0b", "caf\\xc3\\xa9", "\\xff\\x80", "\\xe4\\xb8\\xad\\0"];
      foreach (text in texts) {
        KSR.pv.sets("$var(x)", text);
        same = same && KSR.waiting.echo(text) == text && KSR.pv.get("$var(x)") == text;
      }
      say(same + " " + KSR.waiting.echo("caf\\xc3\\xa9").len() + " " + KSR.waiting.echo("\\xff")[0] + " " + "é".len());
    """)
        == "true 5 -1 2"
    )


def test_bytes_of_a_message_are_seen_and_sent_as_they_are(sq, kahea):
    sq("""function ksr_request_route() {
      KSR.hdr.append_to_reply("X-Back: " + KSR.hdr.get("X-Odd") + KSR.hdr.get("X-Odd").len() + "\\r\\n");
      KSR.sl.sl_send_reply(200, "OK");
    }""")
    alice = kahea.ua("alice", "udp:10.0.0.1:5060")
    alice.send(
        b"OPTIONS sip:10.0.0.9 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nf: sip:alice@10.0.0.1;tag=1\r\n"
        b"t: sip:10.0.0.9\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nX-Odd: \xff\xc3\xa9\xfe\r\n\r\n"
    )
    assert alice.expect(200)["X-Back"].encode("utf-8", "surrogateescape") == b"\xff\xc3\xa9\xfe4"


def test_arguments_are_converted(answer, kahea):
    # Kamailio's app_sqlang ends the process for a number where a text must be.
    assert (
        answer("""
      local w = KSR.waiting;
      say([w.number("12"), w.number(3.7), w.number("x"), w.number(null), w.number(true), w.echo(null), w.echo(true),
        w.echo(1.5), w.echo("extra", 2), w.number()].reduce(@(a, b) a + " " + b));
    """)
        == "12 3 0 0 1 null true 1.5 extra false"
    )
    assert kahea.errors == ["kahea.script: KSR.waiting.number takes 1 argument, not 0"]
    kahea.errors.clear()


def test_ksr_is_a_table_that_can_be_read(answer):
    assert (
        answer("""
      local names = KSR.tm.keys(), seen = [];
      foreach (name, f in KSR.waiting) if (typeof f == "function") seen.append(name);
      local f = KSR.waiting.echo, tables = KSR;
      say([names.len() > 20, seen.len() > 5, f("x"), tables.waiting["echo"]("y"), "nosuch" in KSR, "tm" in KSR,
        typeof KSR.x, ::KSR.waiting.echo("z")].reduce(@(a, b) a + " " + b));
    """)
        == "true true x y false true table z"
    )


@pytest.mark.parametrize(
    "change",
    [
        "KSR.tm.t_relay <- @() 1",
        "KSR.tm.t_relay = @() 1",
        "delete KSR.tm",
        "KSR.clear()",
        "KSR.rawset(1, 2)",
        "KSR <- 1",
        "::KSR = 1",
        "delete ::KSR",
        'this["KSR"] = 1',
        '::rawset("KSR", 1)',
        "::clear()",
    ],
)
def test_ksr_cannot_be_changed(answer, change):
    assert "can't be changed" in answer(f"try {{ {change} }} catch (e) {{ say(e) }}")


def test_a_local_variable_may_be_called_ksr(answer):
    assert answer('local real = KSR; { local KSR = {pv = {get = @(n) "mine"}}; say(KSR.pv.get("$rU")) }') == "mine"


def test_exit_is_an_error_as_in_kamailio(answer):
    assert (
        answer("""
      local why = null;
      try { KSR.x.exit() } catch (e) { why = e }
      say(why);
      KSR.x.exit();
      KSR.sl.sl_send_reply(500, "unreachable");
    """)
        == "~~ksr~exit~~"
    )


def test_exit_in_a_route_ends_what_called_it(sq, kahea):
    sq("""
function inner() { KSR.x.exit() }
function ksr_request_route() {
  KSR.sl.sl_send_reply(200, "first");
  KSR.route("inner");
  throw "not reached";
}
""")
    assert kahea.ua("alice").options("sip:10.0.0.9").reason == "first"


def test_drop_drops_a_reply(sq, kahea):
    sq("""
function ksr_request_route() { KSR.tm.t_relay() }
function ksr_reply_route() { if (KSR.kx.get_status() == 183) KSR.x.drop() }
""")
    alice, bob = kahea.ua("alice", "udp:10.0.0.1:5060"), kahea.ua("bob", "udp:10.0.0.2:5060")
    sent = alice.request("MESSAGE", bob, body="hi")
    waiting = bob.expect("MESSAGE")
    bob.reply(waiting, 183)
    bob.reply(waiting, 200)
    assert sent.wait().status == 200
    assert not any(reply.status == 183 for reply in alice.received)


def test_modf(answer, kahea):
    assert answer("""say(KSR.x.modf("number", "$(rU{s.len})") + KSR.x.modf("nosuch"))""") == "2"
    assert "nosuch" in kahea.errors[0]
    kahea.errors.clear()


def test_an_error_names_file_and_line(sq, kahea):
    node = sq("function ksr_request_route() {\n  local x = 1\n  helper(x)\n}\nfunction helper(x) {\n  x.y = 1\n}")
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    (error,) = kahea.errors
    script = node.node.configuration.script
    assert f"{script}:6: trying to set 'integer'" in error
    assert f"{script}:3: in ksr_request_route" in error
    assert "slots.py" not in error
    kahea.errors.clear()


def test_debuggers_and_coverage_see_the_script(sq, kahea):
    node = sq("""
function ksr_request_route() {
  local n = 0;
  foreach (x in [1, 2]) {
    n += x;
  }
  if (n > 5) {
    n = helper(n);
  }
  local twice = @(v)
    v * 2;
  KSR.sl.sl_send_reply(200, "" + twice(n));
}
function helper(n) { return n }
""")
    script = str(node.node.configuration.script)
    seen = set()

    def trace(frame, event, _argument):
        if frame.f_code.co_filename != script:
            return None
        if event == "line":
            seen.add((frame.f_code.co_name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        reply = kahea.ua("alice").options("sip:10.0.0.9")
    finally:
        sys.settrace(None)
    assert reply.reason == "6"
    routes = {line for name, line in seen if name == "ksr_request_route"}
    assert routes == {2, 3, 4, 5, 7, 10, 12}
    assert ("function", 11) in seen


def test_an_error_of_a_function_keeps_its_exception(sq, kahea):
    sq('function ksr_request_route() {\n  KSR.waiting.fail("deep")\n}')
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    (error,) = kahea.errors
    assert "script.sq:2: deep" in error
    assert "LookupError: deep" in error
    assert "extra/waiting.py" in error
    kahea.errors.clear()


def test_a_script_can_catch_an_error_of_a_function(answer):
    assert answer('try { KSR.waiting.fail("deep") } catch (e) { say("caught " + e) }') == "caught deep"


def test_wrong_calls_are_told_as_squirrel_does(sq, kahea):
    sq("function two(a, b) { }\nfunction ksr_request_route() { if (KSR.is_OPTIONS()) two(1); else KSR.pv.get.call() }")
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").status == 500
    assert alice.message("sip:10.0.0.9", "hi").status == 500
    assert all("wrong number of parameters" in error for error in kahea.errors)
    kahea.errors.clear()


@pytest.mark.parametrize(
    "loop",
    [
        "while (true) { }",
        "for (;;) { }",
        "do { } while (1)",
        "while (true) { try { while (true) { } } catch (e) { } }",
        "while (true) KSR.is_INFO()",
        "local f = null; f = function(n) { if (n) { f(n - 1); f(n - 1) } }; f(60)",
        "local a = [1]; foreach (x in a) a[0] = a.append(x).len()",
        "local g = (function() { while (true) yield 1 })(); foreach (x in g) { }",
        "newthread(function() { while (true) { } }).call()",
        "while (true) { try { KSR.x.exit() } catch (e) { } }",
        "array(1000000).sort()",
        "array(1000000, 1).map(@(x) x)",
        "array(1000000, 1).filter(@(i, x) x)",
        "array(1000000, 1).reduce(@(a, b) b)",
        "array(1000000, 1).find(2)",
        'local s = "ab"; for (local i = 0; i < 19; i++) s += s; regexp("a.*c").search(s)',
    ],
)
def test_a_script_that_never_ends_is_stopped(sq, kahea, loop):
    sq(
        f'function ksr_request_route() {{\nif (KSR.is_OPTIONS()) {{\n{loop} }}\nKSR.sl.sl_send_reply(200, "OK") }}',
        app_sqlang={"time_limit": 20},
    )
    alice = kahea.ua("alice")
    for _ in range(2):
        assert alice.options("sip:10.0.0.9").status == 500
    assert len(kahea.errors) == 2
    assert "script.sq:3: the script took 0." in kahea.errors[0]
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


def test_what_calls_itself_without_end_is_stopped(sq, kahea):
    sq(
        "function deep() { return deep() + 1 }\n"
        'function ksr_request_route() { if (KSR.is_OPTIONS()) deep(); KSR.sl.sl_send_reply(200, "OK") }'
    )
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").status == 500
    assert "script.sq:1: stack overflow" in kahea.errors[0]
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


@pytest.mark.parametrize(
    ("loop", "why"),
    [
        ('local t = []; while (true) t.append("x" + t.len() + format("%99s", "y"))', "over its memory limit"),
        ('local s = "x"; while (true) s += s', "more than one text or array may have"),
        ("array(1000000000)", "more than one text or array may have"),
        ("[].resize(1000000000)", "more than one text or array may have"),
        ("local a = [1]; while (true) a.extend(a)", "more than one text or array may have"),
    ],
)
def test_a_script_that_takes_too_much_memory_is_stopped(sq, kahea, loop, why):
    sq(
        f'function ksr_request_route() {{\nif (KSR.is_OPTIONS()) {{ {loop} }}\nKSR.sl.sl_send_reply(200, "OK") }}',
        app_sqlang={"memory_limit": 8, "time_limit": 0},
    )
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").status == 500
    assert why in kahea.errors[0]
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


def test_what_the_node_grows_between_runs_is_no_scripts_fault(sq, kahea):
    sq(
        'function ksr_request_route() { for (local i = 0; i < 1023; i++) { } KSR.sl.sl_send_reply(200, "OK") }',
        app_sqlang={"memory_limit": 8},
    )
    alice = kahea.ua("alice")
    kept = []
    for _ in range(8):
        assert alice.options("sip:10.0.0.9").status == 200
        kept.append(b"x" * (4 << 20))


def test_an_expression_that_would_take_long_is_refused(answer):
    assert "takes too many steps" in answer("""
      local text = "";
      for (local i = 0; i < 200; i++) text += "aaaaaaaaaa";
      try { say(regexp("(a*)*b").search(text)) } catch (e) { say(e) }
    """)


@pytest.mark.parametrize("name", ["system", "file", "getenv", "seterrorhandler", "collectgarbage"])
def test_what_is_not_there_says_why(answer, name):
    assert answer(f'try {{ ::{name}("x") }} catch (e) {{ say(e) }}').startswith(f"{name} is not available: ")


def test_500_scripts_wait_side_by_side(sq, kahea):
    """Each sees its own message before and after; all together wait as long as one."""
    sq("""
function ksr_request_route() {
  local before = KSR.pv.get("$rU"), id = KSR.pv.get("$ci");
  KSR.pv.sets("$var(mine)", before);
  for (local i = 1; i <= 3; i++) {
    KSR.waiting.sleep(40 - i);
    if (KSR.pv.get("$rU") != before || KSR.pv.get("$ci") != id || KSR.pv.get("$var(mine)") != before)
      throw "another script's message";
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


def test_scripts_that_wait_in_threads_and_generators_end_in_any_order(sq, kahea):
    sq("""
function nap(ms) { KSR.waiting.sleep(ms); return KSR.pv.get("$rU") }
function ksr_request_route() {
  local t = newthread(function(ms) { local got = suspend(nap(ms)); return got + nap(ms) + KSR.pv.get("$rU") });
  local first = t.call(KSR.pv.get("$rU"));
  local g = (function() { yield nap(5); yield nap(5) })();
  local all = first + t.wakeup("+");
  foreach (v in g) all += v;
  if (KSR.pv.get("$rU") == "20") throw "at " + KSR.pv.get("$rU");
  if (KSR.pv.get("$rU") == "30") { KSR.sl.sl_send_reply(200, "left"); KSR.x.exit(); }
  KSR.sl.sl_send_reply(200, all);
}
""")
    alice = kahea.ua("alice")
    for _ in range(3):
        sent = [alice.request("OPTIONS", f"sip:{ms}@10.0.0.9") for ms in (50, 10, 30, 20, 40)]
        reasons = [one.wait().reason for one in sent]
        assert reasons == ["50+50505050", "10+10101010", "left", "Server Internal Error", "40+40404040"]
    assert len(kahea.errors) == 3
    kahea.errors.clear()


def test_a_thread_goes_on_in_another_run(sq, kahea):
    sq("""
worker <- null;
function ksr_request_route() {
  if (worker == null) {
    worker = newthread(function() {
      local seen = "";
      while (true) { KSR.waiting.sleep(10); seen += KSR.pv.get("$rU"); suspend(seen) }
    });
    KSR.sl.sl_send_reply(200, worker.call());
  } else {
    KSR.sl.sl_send_reply(200, worker.wakeup());
  }
}
""")
    alice = kahea.ua("alice")
    assert [alice.options(f"sip:{user}@10.0.0.9").reason for user in "abc"] == ["a", "ab", "abc"]


def test_an_event_route_gets_the_events_name(sq, kahea):
    sq("""
function ksr_request_route() { }
function ksr_event_tm_local_response(name) { KSR.log("err", name); }
""")
    kahea.nodes[0].node.run_event("tm:local-response")
    assert kahea.errors == ["kahea.script: tm:local-response"]
    kahea.errors.clear()


def test_what_a_script_prints_is_logged(sq, kahea):
    sq('error("caf\\xc3\\xa9");\nfunction ksr_request_route() { }')
    assert kahea.errors == ["kahea.script: caf\u00e9"]
    kahea.errors.clear()


def test_dofile_finds_what_lies_beside_the_script(kahea, tmp_path):
    (tmp_path / "names.nut").write_text('greeting <- "aloha";\n')
    script = tmp_path / "router.nut"
    script.write_text('dofile("names.nut");\nfunction ksr_request_route() { KSR.sl.sl_send_reply(200, greeting) }\n')
    node = kahea.node(script, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").reason == "aloha"
    assert tmp_path / "names.nut" in node.node.routes.files
    (tmp_path / "names.nut").write_text('greeting <- "e komo mai";\n')
    assert alice.options("sip:10.0.0.9").reason == "aloha"
    node.reload()
    assert alice.options("sip:10.0.0.9").reason == "e komo mai"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("function ksr_request_route() {\n  if (\n}", r"script.sq:3:1: expression expected, not '}'\n    }\n    \^"),
        ("local x = {};\nx.a.b;\n", r"script.sq:2: the index 'a' does not exist"),
        ("function main() { }", "there is no ksr_request_route in it"),
        ("while (true) { }", "without waiting"),
        ("KSR.waiting.fail(\"x\")", r"script.sq:1: x"),
        ("dofile(\"nosuch.nut\")", "cannot open the file"),
        ("local s = \"caf\xe9", "script.sq:1:11: newline in a constant"),
        ("for (;;) " * 25 + "break", "too many statically nested blocks"),
        ("return " + "(" * 500, "nested too deeply"),
    ],
)  # fmt: skip
def test_a_script_that_does_not_load(sq, kahea, script, message):
    with pytest.raises(ConfigError, match=message):
        sq(script, app_sqlang={"time_limit": 50})


def test_a_reload_that_fails_leaves_the_old_script(sq, kahea):
    node = sq('function ksr_request_route() { KSR.waiting.sleep(100); KSR.sl.sl_send_reply(200, "old"); }')
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
