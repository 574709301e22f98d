"""Scripts of other languages beside a cfg's routes: `lua_run()` and its kin, as in Kamailio; reloads."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from tests.ending import end
from tests.ports import free_port

from kahea.routing.module import ConfigError, RpcError

KAMAILIO = shutil.which("kamailio")
LIBRARY = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules")
#: The engines that one Kamailio runs side by side, with their scripts; with app_sqlang beside another, it crashes.
TOGETHER = {"app_lua": "script.lua", "app_jsdt": "script.js", "app_python3": "script.py"}
ALONE = {"app_sqlang": "script.sq"}

LUA = """
function ret1() return 1 end
function ret0() return 0 end
function negative() return -5 end
function seven() return 7 end
function none() end
function no() return false end
function yes() return true end
function text() return "abc" end
function boom() error("boom") end
function leave() KSR.x.exit() end
function dropped() KSR.x.drop() end
function args(...) KSR.pv.sets("$var(args)", select("#", ...) .. ":" .. table.concat({...}, ",")) return 1 end
"""
JS = """
function ret1() { return 1; }
function ret0() { return 0; }
function negative() { return -5; }
function seven() { return 7; }
function none() { }
function no() { return false; }
function yes() { return true; }
function text() { return "abc"; }
function boom() { throw new Error("boom"); }
function leave() { KSR.x.exit(); }
function dropped() { KSR.x.drop(); }
function args() {
  KSR.pv.sets("$var(args)", arguments.length + ":" + Array.prototype.slice.call(arguments).join(","));
  return 1;
}
"""
SQUIRREL = """
function ret1() { return 1; }
function ret0() { return 0; }
function negative() { return -5; }
function seven() { return 7; }
function none() { }
function no() { return false; }
function yes() { return true; }
function text() { return "abc"; }
function boom() { throw "boom"; }
function leave() { KSR.x.exit(); }
function dropped() { KSR.x.drop(); }
function args(...) {
  KSR.pv.sets("$var(args)", vargv.len() + ":" + vargv.reduce(@(all, one) all + "," + one));
  return 1;
}
"""
PYTHON = """
import KSR


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ret1(self, msg): return 1
    def ret0(self, msg): return 0
    def negative(self, msg): return -5
    def seven(self, msg): return 7
    def none(self, msg): return None
    def no(self, msg): return False
    def yes(self, msg): return True
    def text(self, msg): return "abc"
    def boom(self, msg): raise ValueError("boom")
    def leave(self, msg): exit()

    def args(self, msg, *args):
        KSR.pv.sets("$var(args)", "%d:%s" % (len(args), ",".join(args)))
        return 1
"""
NAMES = ["ret1", "negative", "seven", "none", "no", "yes", "text", "boom", "nosuch", "leave"]


def calls() -> list[str]:
    """What both servers are asked to call."""
    found = [f'{run}("{name}")' for run in ("lua_run", "jsdt_run", "python_exec") for name in NAMES]
    for run in ("lua_run", "jsdt_run"):
        found += [f'{run}("ret0")', f'{run}("dropped")']
        found += [f'{run}("args")', f'{run}("args", "$rU")', f'{run}("args", "$rU", "2")']
        found += [f'{run}("args", "$rU", "", "$du")']
    found += ['python_exec("args")', 'python_exec("args", "$rU")', 'python_exec("args", "")']
    found += [
        'lua_dostring("x = 5 return 0")',
        'lua_dostring("KSR.pv.seti([[$var(args)]], x)")',
        'lua_dostring("return -1")',
        'lua_dostring("error(5)")',
        'lua_dostring("syntax error")',
        'lua_dostring("args()")',
        'lua_runstring("args([[run]], [[$rU]])")',
        'lua_runstring("KSR.pv.sets([[$var(args)]], type(x))")',
        'lua_runstring("return -1")',
        'lua_dofile("@DIR/extra.lua")',
        'lua_dofile("@DIR/nosuch.lua")',
        "jsdt_dostring(\"KSR.pv.sets('$$var(args)', typeof args)\")",
        "jsdt_dostring(\"throw 'x'\")",
        "jsdt_runstring(\"args('a', '$rU')\")",
        'jsdt_runstring("syntax error")',
        'jsdt_dofile("@DIR/extra.js")',
        'jsdt_dofile("@DIR/nosuch.js")',
    ]
    return found


def squirrel_calls() -> list[str]:
    """The same in Squirrel. Kamailio has no sqlang_dostring() and the like: they are always false."""
    found = [f'sqlang_run("{name}")' for name in [*NAMES, "ret0", "dropped", "args"]]
    found += ['sqlang_run("args", "$rU")', 'sqlang_run("args", "$rU", "2")', 'sqlang_run("args", "$rU", "", "$du")']
    return [*found, 'sqlang_runstring("syntax error")', 'sqlang_dofile("@DIR/nosuch.sq")']


CFG = """#!KAMAILIO
debug=-2
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:@PORT
mpath="@LIBRARY"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
@ENGINES
request_route {
@CALLS
    sl_send_reply("200", "OK");
}
@ROUTES
"""


def written(directory: Path, port: int, chosen: list[str], engines: dict[str, str]) -> Path:
    """A cfg that answers with what each call gave: true or false, $rc, $var(args)."""
    (directory / "script.lua").write_text(LUA)
    (directory / "script.js").write_text(JS)
    (directory / "script.py").write_text(PYTHON)
    (directory / "script.sq").write_text(SQUIRREL)
    (directory / "extra.lua").write_text('KSR.pv.sets("$var(args)", type(args) .. tostring(x)) return -3')
    (directory / "extra.js").write_text('KSR.pv.sets("$var(args)", typeof args);')
    routes, lines = [], []
    for number, call in enumerate(chosen):
        lines.append(f'    route(C{number}); append_to_reply("X-{number}: $var(out)\\r\\n");')
        routes.append(
            f'route[C{number}] {{ $var(args) = ""; $var(yes) = 0; if ({call}) {{ $var(yes) = 1; }}\n'
            f'$var(out) = "$rc " + $var(yes) + " " + $var(args); return 1; }}'
        )
    text = CFG.replace("@CALLS", "\n".join(lines)).replace("@ROUTES", "\n".join(routes))
    loads = [
        f'loadmodule "{engine}.so"\nmodparam("{engine}", "load", "@DIR/{script}")' for engine, script in engines.items()
    ]
    text = text.replace("@ENGINES", "\n".join(loads))
    for mark, value in (("@DIR", directory), ("@PORT", port), ("@LIBRARY", LIBRARY)):
        text = text.replace(mark, str(value))
    path = directory / "k.cfg"
    path.write_text(text)
    return path


def answered(lines: list[str], chosen: list[str]) -> dict[str, str]:
    """The header of each call in a reply."""
    found = dict(re.fullmatch(r"X-(\d+): ?(.*)", line).groups() for line in lines if line.startswith("X-"))
    return {call: found.get(str(number), "missing").strip() for number, call in enumerate(chosen)}


def of_kamailio(path: Path, port: int, directory: Path, chosen: list[str]) -> dict[str, str]:
    """What Kamailio answers."""
    log = directory / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [str(KAMAILIO), "-DD", "-E", "-x", "fm", "-m", "64", "-Y", str(directory), "-f", str(path)],
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.bind(("127.0.0.1", 0))
            caller.settimeout(0.3)
            request = (
                "OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{caller.getsockname()[1]};branch=z9hG4bK%d\r\n"
                "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
                "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
            )
            for attempt in range(40):
                try:
                    caller.sendto((request % attempt).encode(), ("127.0.0.1", port))
                    reply = caller.recv(65536).decode()
                    break
                except (TimeoutError, ConnectionRefusedError):
                    assert server.poll() is None, log.read_text(errors="replace")
            else:
                raise AssertionError(log.read_text(errors="replace"))
    finally:
        end(server)
    return answered(reply.split("\r\n"), chosen)


@pytest.mark.parametrize(
    ("engines", "chosen"), [(TOGETHER, calls()), (ALONE, squirrel_calls())], ids=["many", "squirrel"]
)
def test_functions_of_scripts_are_called_as_kamailio_does(kahea, tmp_path, engines, chosen):
    if KAMAILIO is None or not all((LIBRARY / f"{name}.so").exists() for name in engines):
        pytest.skip(f"needs a real Kamailio with {', '.join(engines)}")
    port = free_port()
    path = written(tmp_path, port, chosen, engines)
    theirs = of_kamailio(path, port, tmp_path, chosen)
    kahea.node(path, "udp:10.0.0.9:5060")
    reply = kahea.ua("alice").request("OPTIONS", "sip:bob@127.0.0.1").wait()
    ours = answered([f"{name}: {value}" for name, value in reply.headers], chosen)
    kahea.errors.clear()
    assert ours == theirs
    assert len(set(theirs.values())) >= 5


CFG_OURS = """#!KAMAILIO
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "app_lua.so"
loadmodule "app_jsdt.so"
loadmodule "app_python.so"
loadmodule "app_sqlang.so"
modparam("app_sqlang", "load", "@DIR/script.sq")
modparam("app_lua", "load", "@DIR/one.lua")
modparam("app_lua", "load", "@DIR/two.lua")
modparam("app_jsdt", "load", "@DIR/script.js")
modparam("app_python", "load", "@DIR/script.py")
request_route {
    if ($rU == "stop") { lua_run("stop"); sl_send_reply("500", "went on"); exit; }
    lua_run("begin", "$rU");
    sl_send_reply("200", "$var(path)");
}
route[NATIVE] { $var(path) = $var(path) + " native"; jsdt_run("further"); }
route[STOP] { sl_send_reply("200", "stopped"); exit; }
"""


@pytest.fixture
def every(kahea, tmp_path):
    """A cfg with scripts in four languages that call each other."""
    (tmp_path / "script.sq").write_text('function relayed(text) { KSR.app_lua.run_p1("last", "sq:" + text) }\n')
    (tmp_path / "one.lua").write_text(
        'function begin(user) KSR.pv.sets("$var(path)", "lua:" .. user) KSR.route("NATIVE") end\n'
        'function stop() KSR.route("STOP") KSR.sl.sl_send_reply(500, "went on") end\n'
    )
    (tmp_path / "two.lua").write_text(
        'function last(text) KSR.pv.sets("$var(path)", KSR.pv.get("$var(path)") .. " lua:" .. text) end\n'
    )
    (tmp_path / "script.js").write_text(
        "function further() { KSR.pv.sets('$var(path)', KSR.pv.get('$var(path)') + ' js');"
        " KSR.app_python3.exec_p1('onward', 'from js'); }\n"
    )
    (tmp_path / "helper.py").write_text("WORD = 'python'\n")
    (tmp_path / "script.py").write_text(
        "import KSR, helper\n"
        "def onward(msg, text):\n"
        "    KSR.pv.sets('$var(path)', KSR.pv.get('$var(path)') + f' {helper.WORD}:{text}')\n"
        "    return KSR.app_sqlang.run_p1('relayed', 'end')\n"
    )
    path = tmp_path / "k.cfg"
    path.write_text(CFG_OURS.replace("@DIR", str(tmp_path)))
    return kahea.node(path, "udp:10.0.0.9:5060")


def test_every_language_calls_every_other(kahea, every):
    alice = kahea.ua("alice")
    assert alice.options("sip:bob@10.0.0.9").reason == "lua:bob native js python:from js lua:sq:end"


def test_exit_of_a_native_route_ends_all_that_called_it(kahea, every):
    assert kahea.ua("alice").options("sip:stop@10.0.0.9").reason == "stopped"


def test_reload_of_one_language(kahea, every, tmp_path):
    alice = kahea.ua("alice")
    rpc = {name: command.call for name, command in every.node.registry.rpcs.items()}
    assert rpc["app_lua.list"]() == [f"0: [{tmp_path}/two.lua]", f"1: [{tmp_path}/one.lua]"]
    (tmp_path / "two.lua").write_text('function last() KSR.pv.sets("$var(path)", "new") end\n')
    assert alice.options("sip:bob@10.0.0.9").reason.endswith(" lua:sq:end")
    before = every.node.routes.number
    rpc["app_lua.reload"](0)
    assert alice.options("sip:bob@10.0.0.9").reason == "new"
    assert every.node.routes.number > before
    every.rollback()
    assert alice.options("sip:bob@10.0.0.9").reason.endswith(" lua:sq:end")

    # What Python imports is read anew as well; Kamailio re-executes the script alone.
    (tmp_path / "helper.py").write_text("WORD = 'snake'\n")
    assert set(rpc["app_python.reload"]()) == {"old", "new"}
    assert " snake:" in alice.options("sip:bob@10.0.0.9").reason


def test_a_reload_that_fails_leaves_all_as_it_was(kahea, every, tmp_path):
    alice = kahea.ua("alice")
    rpc = {name: command.call for name, command in every.node.registry.rpcs.items()}
    (tmp_path / "two.lua").write_text("function last( end\n")
    (tmp_path / "script.js").write_text("throw new Error('not today');\n")
    (tmp_path / "helper.py").write_text("WORD = 1 / 0\n")
    with pytest.raises(RpcError, match=r"two.lua:1: "):
        rpc["app_lua.reload"]()
    with pytest.raises(RpcError, match=r"script.js:1:\d+: Error: not today"):
        rpc["app_jsdt.reload"]()
    with pytest.raises(RpcError, match=r"ZeroDivisionError"):
        rpc["app_python.reload"]()
    (tmp_path / "script.sq").write_text("function relayed(text) { KSR.err(\n")
    with pytest.raises(RpcError, match=r"script.sq:2:1: expression expected"):
        rpc["app_sqlang.reload"]()
    with pytest.raises(RpcError, match="there is no script 2"):
        rpc["app_lua.reload"](2)
    with pytest.raises(ConfigError):
        every.reload()
    assert alice.options("sip:bob@10.0.0.9").reason == "lua:bob native js python:from js lua:sq:end"


def test_the_list_of_functions(every):
    listed = every.node.registry.rpcs["app_jsdt.api_list"].call()
    assert listed["msize"] == len(listed["methods"]) == len(every.node.registry.functions)
    assert {"func": {"ret": "int", "module": "sl", "name": "sl_send_reply", "params": "int, str"}} in listed["methods"]


def test_a_call_keeps_the_functions_that_it_began_with(kahea, tmp_path):
    script = tmp_path / "late.lua"
    script.write_text('function failed() KSR.tm.t_reply(488, "old") end\n')
    path = tmp_path / "k.cfg"
    path.write_text(
        '#!KAMAILIO\nloadmodule "tm.so"\nloadmodule "sl.so"\nloadmodule "app_lua.so"\n'
        f'modparam("app_lua", "load", "{script}")\n'
        'request_route { t_on_failure("LATE"); t_relay(); }\nfailure_route[LATE] { lua_run("failed"); }\n'
    )
    node = kahea.node(path, "udp:10.0.0.9:5060")
    alice, bob = kahea.ua("alice", "udp:10.0.0.1:5060"), kahea.ua("bob", "udp:10.0.0.2:5060")
    sent = alice.request("MESSAGE", bob, body="hi")
    waiting = bob.expect("MESSAGE")
    script.write_text('function failed() KSR.tm.t_reply(488, "new") end\n')
    node.node.registry.rpcs["app_lua.reload"].call()
    bob.reply(waiting, 486)
    assert sent.wait().reason == "old"
    alice.request("MESSAGE", bob, body="hi")
    bob.reply(bob.expect("MESSAGE"), 486)
    assert kahea.run_until(lambda: any(m.reason == "new" for m in alice.received))
