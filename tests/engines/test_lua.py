"""Lua scripts: what they may do, what they get, how they are stopped, and that none sees another's message."""

from __future__ import annotations

import pytest

from kahea.routing.module import ConfigError

RUNTIMES = ["luajit", "5.4"]


@pytest.fixture(params=RUNTIMES)
def lua(request, kahea):
    """Starts a node with a Lua script, in each runtime."""

    def start(script, **options):
        modules = {"app_lua": {"runtime": request.param, **options.pop("app_lua", {})}, **options.pop("modules", {})}
        return kahea.node(f"{script}\n", "udp:10.0.0.9:5060", language="lua", modules=modules, **options)

    return start


@pytest.fixture
def answer(lua, kahea):
    """Runs Lua statements for one request; what they pass to `say`, as the reply's reason."""

    def run(body, **options):
        say = "local function say(v) KSR.sl.sl_send_reply(200, tostring(v)) end"
        lua(f"function ksr_request_route()\n{say}\n{body}\nend", **options)
        return kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9", headers=[("X-A", "1")]).wait().reason

    return run


def test_a_call_through_a_lua_script(lua, kahea):
    lua("""
function ksr_request_route()
  if KSR.tm.t_check_trans() == 0 then return 1 end
  if KSR.siputils.has_totag() > 0 then
    KSR.rr.loose_route()
    KSR.tm.t_relay()
    KSR.x.exit()
  end
  KSR.rr.record_route()
  KSR.tm.t_on_branch("ksr_branch_one")
  KSR.tm.t_on_reply("ksr_onreply_one")
  KSR.tm.t_on_failure("ksr_failure_one")
  KSR.tm.t_relay()
end
function ksr_branch_one() KSR.hdr.append("X-Branch: " .. KSR.pv.get("$T_branch_idx") .. "\\r\\n") end
function ksr_onreply_one() KSR.hdr.append("X-Reply: " .. KSR.kx.get_status() .. "\\r\\n") end
function ksr_failure_one()
  if KSR.tm.t_check_status("486") > 0 then
    KSR.seturi("sip:carol@10.0.0.3:5060")
    KSR.tm.t_relay()
  end
end
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
      local w = KSR.waiting
      say(table.concat({type(w.echo("a")), type(w.number(7)), type(w.null()), tostring(w.nothing()),
        tostring(w.truth(1)), tostring(w.truth(0)), tostring(w.number(-5)), w.echo(5)}, " "))
    """)
        == "string number nil false true false -5 5"
    )


def test_bytes_survive(answer):
    assert (
        answer("""
      local bytes = "a\\0b\\255\\254 \\195\\164"
      KSR.pv.sets("$var(x)", bytes)
      say(KSR.pv.get("$var(x)") == bytes and KSR.waiting.echo(bytes) == bytes and #KSR.pv.get("$var(x)"))
    """)
        == "8"
    )


def test_arguments_are_converted_as_lua_does(answer, kahea):
    # As app_lua of Kamailio 5.6.3 was seen to do.
    assert (
        answer("""
      local number, echo = KSR.waiting.number, KSR.waiting.echo
      say(table.concat({number("12"), number(3.7), number("x"), number(nil), number(true), "[" .. echo(nil) .. "]",
        "[" .. echo({}) .. "]", echo(1.5), echo("extra", 2), tostring(number())}, " "))
    """)
        == "12 3 0 0 0 [] [] 1.5 extra false"
    )
    assert kahea.errors == ["kahea.script: KSR.waiting.number takes 1 argument, not 0"]
    kahea.errors.clear()


def test_functions_are_plain_tables(answer):
    assert (
        answer("""
      local functions, missing = 0, KSR.nosuch == nil and KSR.tm.nosuch == nil
      for name, f in pairs(KSR.tm) do
        if type(f) == "function" then functions = functions + 1 end
      end
      say(tostring(missing) .. " " .. tostring(functions > 20) .. " " .. type(KSR.tm.t_relay))
    """)
        == "true true function"
    )


def test_exit_is_an_error_as_in_kamailio(answer):
    assert (
        answer("""
      local ok, why = pcall(KSR.x.exit)
      say(tostring(ok) .. " " .. why)
      KSR.x.exit()
      KSR.sl.sl_send_reply(500, "unreachable")
    """)
        == "false ~~ksr~exit~~"
    )


def test_exit_in_a_route_ends_what_called_it(lua, kahea):
    lua("""
function inner() KSR.x.exit() end
function ksr_request_route()
  KSR.sl.sl_send_reply(200, "first")
  KSR.route("inner")
  KSR.info("not reached")
  error("not reached")
end
""")
    assert kahea.ua("alice").options("sip:10.0.0.9").reason == "first"


def test_modf(answer, kahea):
    assert answer("""say(KSR.x.modf("number", "$(rU{s.len})") .. KSR.x.modf("nosuch"))""") == "3-1"
    assert "nosuch" in kahea.errors[0]
    kahea.errors.clear()


def test_functions_in_callbacks_and_coroutines(answer):
    assert (
        answer("""
      local replaced = string.gsub("ab", "%w", function(c) return KSR.waiting.echo(c .. "!") end)
      local sorted = {3, 1, 2}
      table.sort(sorted, function(a, b) return KSR.waiting.number(a) < KSR.waiting.number(b) end)
      local co = coroutine.wrap(function(a)
        KSR.waiting.sleep(100)
        local b = coroutine.yield(KSR.waiting.echo(a))
        local inner = coroutine.create(function() KSR.waiting.sleep(100) return KSR.waiting.echo(b) end)
        return select(2, coroutine.resume(inner))
      end)
      say(replaced .. table.concat(sorted) .. co("x") .. co("y"))
    """)
        == "a!b!123xy"
    )


def test_what_waits_must_not_in_a_callback(answer):
    reason = answer("""
      local ok, why = pcall(string.gsub, "a", "a", function() KSR.waiting.sleep(1) end)
      say(why)
    """)
    assert "can't be called inside a callback" in reason


def test_an_error_names_file_and_line(lua, kahea):
    node = lua("function ksr_request_route()\n  local x\n  helper(x)\nend\nfunction helper(x)\n  x.y = 1\nend")
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    (error,) = kahea.errors
    script = node.node.configuration.script
    assert f"{script}:6: attempt to index" in error
    assert f"{script}:3: in " in error
    assert "[kahea]" not in error
    kahea.errors.clear()


def test_an_error_of_a_function_keeps_its_exception(lua, kahea):
    lua('function ksr_request_route()\n  KSR.waiting.fail("deep")\nend')
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    (error,) = kahea.errors
    assert "script.lua:2: deep" in error
    assert "LookupError: deep" in error
    assert "extra/waiting.py" in error
    kahea.errors.clear()


def test_a_script_can_catch_an_error_of_a_function(answer):
    assert answer("""
      local ok, why = pcall(KSR.waiting.fail, "deep")
      say(tostring(ok) .. " " .. tostring(why))
    """).endswith("deep")


@pytest.mark.parametrize(
    "loop",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do KSR.is_INFO() end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do string.gsub('a', 'a', function() KSR.is_INFO() end) end",
        "while true do coroutine.wrap(function() KSR.is_INFO() end)() end",
        "while true do xpcall(KSR.x.exit, function(why) return why end) end",
    ],
)
def test_a_script_that_never_ends_is_stopped(lua, kahea, loop):
    lua(
        f"function ksr_request_route()\nif KSR.is_OPTIONS() then\n{loop} end\nKSR.sl.sl_send_reply(200, 'OK')\nend",
        app_lua={"time_limit": 20},
    )
    alice = kahea.ua("alice")
    for _ in range(2):
        assert alice.options("sip:10.0.0.9").status == 500
    assert len(kahea.errors) == 2
    assert "script.lua:3: the script took 0." in kahea.errors[0]
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


@pytest.mark.parametrize(
    "loop",
    [
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local s = ('x'):rep(100000000)",
        "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1000) .. #t end) end",
    ],
)
def test_a_script_that_takes_too_much_memory_is_stopped(lua, kahea, loop):
    lua(
        f"function ksr_request_route()\nif KSR.is_OPTIONS() then\n{loop} end\nKSR.sl.sl_send_reply(200, 'OK')\nend",
        app_lua={"memory_limit": 8, "time_limit": 1000},
    )
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").status == 500
    assert "memory" in kahea.errors[0] or "without waiting" in kahea.errors[0]
    kahea.errors.clear()
    assert alice.message("sip:10.0.0.9", "hi").status == 200


def test_a_script_that_keeps_too_much_refuses_and_goes_on_when_it_lets_go(lua, kahea):
    lua(
        """
kept = {}
function ksr_request_route()
  if KSR.is_OPTIONS() then while true do kept[#kept + 1] = ("x"):rep(1000) .. #kept end end
  KSR.sl.sl_send_reply(200, "OK")
end
""",
        app_lua={"memory_limit": 8},
    )
    alice = kahea.ua("alice")
    for method in ("OPTIONS", "OPTIONS", "MESSAGE"):
        assert alice.request(method, "sip:10.0.0.9").wait().status == 500
    assert all("memory limit" in error for error in kahea.errors)
    kahea.errors.clear()


def test_os_exit_does_not_end_the_node(lua, kahea):
    lua("function ksr_request_route()\n  os.exit(1)\nend")
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 500
    assert "os.exit() would end the node" in kahea.errors[0]
    kahea.errors.clear()


def test_500_scripts_wait_side_by_side(lua, kahea):
    """Each sees its own message before and after; all together wait as long as one."""
    lua("""
function ksr_request_route()
  local before, id = KSR.pv.get("$rU"), KSR.pv.get("$ci")
  KSR.pv.sets("$var(mine)", before)
  for i = 1, 3 do
    KSR.waiting.sleep(40 - i)
    if KSR.pv.get("$rU") ~= before or KSR.pv.get("$ci") ~= id or KSR.pv.get("$var(mine)") ~= before then
      error("another script's message")
    end
  end
  KSR.sl.sl_send_reply(200, "for " .. KSR.pv.get("$rU"))
end
""")
    alice = kahea.ua("alice")
    alice.retransmits = False
    began = kahea.elapsed
    sent = [alice.request("OPTIONS", f"sip:user{n}@10.0.0.9") for n in range(500)]
    for n, request in enumerate(sent):
        assert request.wait().reason == f"for user{n}"
    assert kahea.elapsed - began < 0.2


def test_scripts_end_in_any_order(lua, kahea):
    lua("""
function ksr_request_route()
  KSR.waiting.sleep(KSR.pv.get("$rU"))
  if KSR.pv.get("$rU") == "20" then error("at " .. KSR.pv.get("$rU")) end
  if KSR.pv.get("$rU") == "30" then KSR.sl.sl_send_reply(200, "left") KSR.x.exit() end
  KSR.sl.sl_send_reply(200, "slept " .. KSR.pv.get("$rU"))
end
""")
    alice = kahea.ua("alice")
    for _ in range(3):
        sent = [alice.request("OPTIONS", f"sip:{ms}@10.0.0.9") for ms in (50, 10, 30, 20, 40)]
        reasons = [one.wait().reason for one in sent]
        assert reasons == ["slept 50", "slept 10", "left", "Server Internal Error", "slept 40"]
    assert len(kahea.errors) == 3
    kahea.errors.clear()


def test_an_event_route_gets_the_events_name(lua, kahea):
    lua("""
function ksr_request_route() KSR.tm.t_newtran() KSR.tm.t_reply(200, "OK") end
function ksr_event_tm_local_response(name) KSR.log("err", name) end
""")
    assert kahea.ua("alice").options("sip:10.0.0.9").status == 200
    node = kahea.nodes[0].node
    node.run_event("tm:local-response")
    assert kahea.errors == ["kahea.script: tm:local-response"]
    kahea.errors.clear()


def test_require_finds_what_lies_beside_the_script(kahea, tmp_path):
    (tmp_path / "names.lua").write_text("return { greeting = 'aloha' }\n")
    script = tmp_path / "router.lua"
    script.write_text(
        "#!/usr/bin/env lua\nlocal names = require('names')\n"
        "function ksr_request_route() KSR.sl.sl_send_reply(200, names.greeting) end\n"
    )
    node = kahea.node(script, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").reason == "aloha"
    # A reload reads required files anew as well.
    (tmp_path / "names.lua").write_text("return { greeting = 'e komo mai' }\n")
    node.reload()
    assert alice.options("sip:10.0.0.9").reason == "e komo mai"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("function ksr_request_route()\n  if then\nend", "/script.lua:2: unexpected symbol near 'then'"),
        ("x = 1\nlocal y = x.a.b\n", "script.lua:2: attempt to index"),
        ("function main() end", "there is no ksr_request_route in it"),
        ("while true do end", "without waiting"),
        ("KSR.waiting.fail('x')", "script.lua:1: x"),
    ],
)
def test_a_script_that_does_not_load(lua, kahea, script, message):
    with pytest.raises(ConfigError, match=message):
        lua(script, app_lua={"time_limit": 50})


def test_a_reload_that_fails_leaves_the_old_script(lua, kahea):
    node = lua('function ksr_request_route() KSR.waiting.sleep(100) KSR.sl.sl_send_reply(200, "old") end')
    alice = kahea.ua("alice")
    script = node.node.configuration.script
    script.write_text("function ksr_request_route( end")
    with pytest.raises(ConfigError):
        node.reload()
    assert alice.options("sip:10.0.0.9").reason == "old"
    under_way = alice.request("OPTIONS", "sip:10.0.0.9")
    kahea.run(0.05)
    script.write_text('function ksr_request_route() KSR.sl.sl_send_reply(200, "new") end')
    node.reload()
    assert alice.options("sip:10.0.0.9").reason == "new"
    assert under_way.wait().reason == "old"


def test_the_table_of_before_kemi(lua, kahea):
    # As app_lua_sr of Kamailio 5.6.3 was seen to answer.
    lua(
        """
function ksr_request_route()
  local out = {}
  local function show(...)
    for n = 1, select("#", ...) do out[#out + 1] = tostring(select(n, ...)) end
    if select("#", ...) == 0 then out[#out + 1] = "none" end
  end
  show(sr.pv.get("$rm")) show(sr.pv.get("$du")) show(sr.pv.getw("$du"))
  show(sr.pv.seti("$var(a)", 5)) show(sr.pv.is_null("$du")) show(sr.pv.unset("$var(a)"))
  show(sr.hdr.append("X: 1\\r\\n")) show(sr.is_myself("10.0.0.9")) show(sr.setflag(3)) show(sr.isflagset(3))
  show(sr.log("info", "x\\n")) show(sr.maxfwd.process_maxfwd(10)) show(sr.siputils.has_totag())
  show(sr.rr.loose_route()) show(sr.sanity.sanity_check()) show(sr.xhttp) show(KSR.hdr.append_hf("Y: 1\\r\\n"))
  sr.sl.send_reply(200, table.concat(out, " "))
end
""",
        modules={
            "app_lua_sr": {
                "register": ["maxfwd", "siputils", "rr", "sanity", "sl"],
            }
        },
    )
    reply = kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9", headers=[("Max-Forwards", "70")]).wait()
    assert reply.reason == "OPTIONS nil <<null>> none true none none true true true none 1 -1 -1 1 nil 1"


def test_what_sr_has_not_is_told(lua):
    with pytest.raises(ConfigError, match=r"sr\.msilo is not supported yet"):
        lua("function ksr_request_route() end", modules={"app_lua_sr": {"register": "msilo"}})
