"""evapi: what applications get and what scripts see of them, beside Kamailio; and what a bad application can't do."""

from __future__ import annotations

import re
import select
import socket
import time
from pathlib import Path

import pytest
from processes import KAMAILIO, PATIENCE, Server, compared, request

from kahea.modules.evapi.clients import MAX_MESSAGE, Netstrings, Raw, TooLong, framed

needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

CFG = """
loadmodule "corex.so"
loadmodule "textops.so"
loadmodule "tmx.so"
loadmodule "cfgutils.so"
loadmodule "evapi.so"
modparam("evapi", "bind_addr", "@STREAM")
modparam("evapi", "max_clients", 3)
modparam("tm", "fr_timer", 1500)
PARAMS
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    $var(r) = "";
    switch ($rU) {
        case "relay": evapi_relay("hello $fU"); $var(r) = $rc; break;
        case "unicast": evapi_unicast("one", "tag1"); $var(r) = $rc; break;
        case "multicast": evapi_multicast("many", "tag1"); $var(r) = $rc; break;
        case "nobody": evapi_unicast("none", "nosuch"); $var(r) = $rc; break;
        case "nothing": evapi_relay(""); $var(r) = $rc; break;
        case "tag": evapi_set_tag("x"); $var(r) = $rc; break;
        case "close": evapi_close(); $var(r) = $rc; break;
        case "vars": $var(r) = "[" + $evapi(msg) + "|" + $evapi(srcaddr) + "|" + $evapi(conidx) + "]"; break;
        case "ask":
            if (evapi_async_relay("ask $T(id_index):$T(id_label)")) exit;
            break;
        case "askone":
            if (evapi_async_unicast("ask $T(id_index):$T(id_label)", "own")) exit;
            break;
        case "askmany":
            if (evapi_async_multicast("ask $T(id_index):$T(id_label)", "own")) exit;
            break;
    }
    append_to_reply("X-Result: $var(r)\\r\\n");
    sl_send_reply("200", "Done");
}
route[ANSWER] { t_reply("603", "Not today"); }
event_route[evapi:connection-new] { send_data("sip:@SINK", "new $evapi(srcaddr) $evapi(conidx) [$evapi(msg)] $rm"); }
event_route[evapi:connection-closed] { send_data("sip:@SINK", "closed $evapi(srcaddr) $evapi(conidx)"); }
event_route[evapi:message-received] {
    send_data("sip:@SINK", "got [$evapi(msg)] $evapi(conidx) $rm");
    if ($evapi(msg) =~ "^tag ") { evapi_set_tag("$(evapi(msg){s.substr,4,0})"); send_data("sip:@SINK", "tag $rc"); }
    if ($evapi(msg) =~ "^close") { evapi_close(); send_data("sip:@SINK", "close $rc"); }
    if ($evapi(msg) =~ "^echo") { evapi_relay("$evapi(msg)"); send_data("sip:@SINK", "relay $rc"); }
    if ($evapi(msg) =~ "^sleep") { sleep("1"); send_data("sip:@SINK", "slept"); }
    if ($evapi(msg) =~ "^answer") {
        $var(index) = $(evapi(msg){s.select,1,:}{s.int});
        $var(label) = $(evapi(msg){s.select,2,:}{s.int});
        t_continue("$var(index)", "$var(label)", "ANSWER");
        send_data("sip:@SINK", "continued $rc");
    }
}
"""


def netstring(message: bytes | str) -> bytes:
    return framed(message.encode() if isinstance(message, str) else message, True)


class Application:
    """An application that is connected; the script has seen it come."""

    def __init__(self, server: Server, seen: list[str]) -> None:
        self._server = server
        self._seen = seen
        self.socket = server.stream()
        seen.append(server.sink.receive())

    def say(self, data: bytes, events: int) -> None:
        """Send bytes, and wait for so many events of the script."""
        self.socket.sendall(data)
        for _ in range(events):
            self._seen.append(re.sub(r"\d{3,}", "N", self._server.sink.receive()))

    def say_after(self, data: bytes, message: str) -> None:
        """Send what makes no message, then one; again where it was read along with the bytes before it."""
        self.socket.sendall(data)
        for _ in range(5):
            time.sleep(0.05)
            self.socket.sendall(netstring(message))
            try:
                self._seen.append(self._server.sink.receive(1.0))
            except TimeoutError:
                continue
            return
        raise TimeoutError(f"{message} never came")

    def hear(self, size: int) -> bytes:
        """So many bytes."""
        data = b""
        while len(data) < size and (got := self.socket.recv(size - len(data))):
            data += got
        return data

    def hears_nothing(self) -> bool:
        return not select.select([self.socket], [], [], 0.05)[0]

    def ended(self) -> bool:
        """Whether the server closes the connection."""
        return self.socket.recv(1) == b""


def ask(server: Server, user: str, number: int) -> str:
    server.caller.send(request("OPTIONS", f"sip:{user}@example.com", callid=f"{user}{number}"))
    while True:
        got = server.caller.expect("SIP/2.0 ")
        if f"Call-ID: {user}{number}\r" in got:
            return got.partition("\r\n")[0] + "".join(re.findall("X-Result: .*", got))


@needs_kamailio
def test_applications_get_what_they_get_from_kamailio(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[object]:
        seen: list[str] = []
        out: list[object] = [seen]
        out += [ask(server, user, 0) for user in ("vars", "tag", "close")]
        one, two, three = (Application(server, seen) for _ in range(3))
        with server.stream() as fourth:
            fourth.settimeout(PATIENCE)
            out.append(fourth.recv(1))
        out += [ask(server, "relay", 1), [each.hear(len(b"11:hello alice,")) for each in (one, two, three)]]
        one.say(netstring("tag tag1"), 2)
        two.say(netstring("tag tag1"), 2)
        three.say(netstring("tag own"), 2)
        for user in ("unicast", "multicast", "nobody", "nothing"):
            out.append(ask(server, user, 1))
        out += [one.hear(len(b"3:one,4:many,")), two.hear(len(b"4:many,")), three.hears_nothing()]
        one.say(netstring("first") + netstring("second"), 2)
        one.say(b"5:he", 0)
        one.say(b"llo,", 1)
        one.say_after(netstring(""), "after an empty one")
        one.say(netstring("echo me"), 2)
        out += [each.hear(10) for each in (one, two, three)]
        one.say(netstring("x" * 3000), 1)
        one.say(netstring("sleep") + netstring("awake"), 3)
        two.say_after(b"garbage,", "after garbage")
        two.say_after(b"3:abcX", "after a bad end")
        for user in ("ask", "askone", "askmany"):
            server.caller.send(request("INVITE", f"sip:{user}@example.com", callid=user))
            if user == "ask":
                asked = [re.sub(rb"\d+", b"N", each.hear(1) + each.socket.recv(100)) for each in (one, two)]
                out.append(asked)
            question = three.hear(1) + three.socket.recv(100)
            index, label = re.findall(rb"ask (\d+):(\d+)", question)[0]
            three.say(netstring(b"answer:%b:%b" % (index, label)), 2)
            out.append(server.caller.expect("SIP/2.0 603").partition("\r\n")[0])
        out.append([one.hears_nothing(), two.hears_nothing()])
        one.say(netstring("close"), 2)
        out.append(one.ended())
        two.socket.close()
        seen.append(server.sink.receive())
        again = Application(server, seen)
        again.say(netstring("close"), 2)
        out.append(again.ended())
        three.socket.close()
        seen.append(server.sink.receive())
        # Nobody is left: the transaction's own timer answers.
        out.append(ask(server, "relay", 2))
        server.caller.send(request("INVITE", "sip:ask@example.com", callid="unheard"))
        out.append(server.caller.expect("SIP/2.0 408").partition("\r\n")[0])
        return out

    theirs, ours = compared(tmp_path, CFG.replace("PARAMS", ""), [], scenario)
    for want, have in zip(theirs, ours, strict=True):
        assert have == want


@needs_kamailio
def test_raw_messages_are_kamailios(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[object]:
        seen: list[str] = []
        one, two = Application(server, seen), Application(server, seen)
        out: list[object] = [seen, ask(server, "relay", 0), one.hear(11), two.hear(11)]
        one.say(b"first", 1)
        one.say(b"second\nthird", 1)
        one.say(b"echo", 2)
        return [*out, one.hear(4), two.hear(4)]

    raw = CFG.replace("PARAMS", 'modparam("evapi", "netstring_format", 0)')
    theirs, ours = compared(tmp_path, raw, [], scenario)
    assert ours == theirs


def test_an_application_that_behaves_badly_is_cut_off(tmp_path: Path) -> None:
    """One announces too much, one reads nothing; the others and the script go on."""
    server = Server("kahea", tmp_path / "kahea", CFG.replace("PARAMS", ""), [])
    try:
        seen: list[str] = []
        good, bad = Application(server, seen), Application(server, seen)
        bad.say(b"99999999:", 1)
        assert seen[-1] == "closed N.0.0.1 1"
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.ports["@STREAM"]))
        server.sink.receive()
        good.socket.settimeout(PATIENCE)
        echo = netstring("echo" + "x" * 200_000)
        told = False
        for _ in range(200):
            good.socket.sendall(echo)
            assert good.hear(len(echo)) == echo
            with_events = server.sink.receive()
            if with_events.startswith("closed"):
                told = True
                break
        assert told
        slow.close()
    finally:
        server.end()


# ---- framing


def test_netstrings_in_pieces() -> None:
    data = netstring("one") + netstring("") + netstring(b"\0,\xff:") + netstring("x" * 1000)
    for size in (1, 2, 3, 7, 1000, len(data)):
        incoming = Netstrings()
        found = []
        for at in range(0, len(data), size):
            incoming.add(data[at : at + size])
            while (message := incoming.take()) is not None:
                found.append(message)
        assert found == [b"one", b"\0,\xff:", b"x" * 1000]
        assert len(incoming) == 0


@pytest.mark.parametrize(
    "data", [b"x", b":", b"-1:a,", b"1234567890:", b"3:abcd", b"0x3:abc,", b"12345678901234567890"]
)
def test_what_is_no_netstring_is_passed_over(data: bytes) -> None:
    incoming = Netstrings()
    incoming.add(data)
    assert incoming.take() is None
    assert len(incoming) == 0
    incoming.add(netstring("next"))
    assert incoming.take() == b"next"


def test_messages_are_bounded() -> None:
    incoming = Netstrings()
    incoming.add(b"%d:" % (MAX_MESSAGE + 1))
    with pytest.raises(TooLong):
        incoming.take()
    raw = Raw()
    raw.add(b"x" * (MAX_MESSAGE + 5))
    assert [len(raw.take() or b""), len(raw.take() or b""), raw.take()] == [MAX_MESSAGE, 5, None]
