"""Flows of what the server answers by itself, and of messages that are wrong."""

from __future__ import annotations

from collections.abc import Callable

from .flows_calls import SDP
from .flows_forks import finish
from .peers import Sip, Stage
from .setups import ROUTER, TRICKS
from .stages import flow


@flow(TRICKS)
async def stateless_replies(s: Stage) -> None:
    """sl_send_reply: each repeat is answered again, with the same tag; ACK is swallowed."""
    alice = await s.peer("alice")
    request = alice.request("INVITE", f"sip:x@{s.uri()}", do=["raw", "to_reply X-Why: because", "sl_reply 480 Not now"])
    invite = alice.send(request)
    reply = await alice.expect("480 INVITE")
    alice.send(invite)
    await alice.repeated(reply)
    alice.send(alice.ack_failure(invite, reply))
    await alice.barrier()


@flow(TRICKS)
async def replies_by_kind(s: Stage) -> None:
    """Replies of every class, with and without a transaction, Record-Routes in provisional ones."""
    alice = await s.peer("alice")
    number = 0
    for verb in ("sl_reply", "send_reply", "tm_reply", "tm_send"):
        for status in ("199 Early", "200 Fine", "302 Elsewhere", "404 None", "500 Broken", "603 No"):
            number += 1
            do = ["newtran"] if verb in ("tm_reply", "tm_send") else []
            headers = [("Record-Route", "<sip:192.0.2.1;lr>")]
            alice.send(
                alice.request(
                    "OPTIONS",
                    f"sip:x@{s.uri()}",
                    do=[*do, f"{verb} {status}"],
                    callid=f"{s.flow}-{number}",
                    headers=headers,
                )
            )
            await alice.expect(f"{status[:3]} OPTIONS")


@flow(TRICKS)
async def replies_odd(s: Stage) -> None:
    """Codes and reasons at the edges."""
    alice = await s.peer("alice")
    for number, what in enumerate(("sl_reply 200 ", "tm_reply 699 Last", "sl_error")):
        alice.send(alice.request("OPTIONS", f"sip:x@{s.uri()}", do=["newtran", what], callid=f"{s.flow}-{number}"))
        await alice.barrier()


@flow(TRICKS)
async def reply_with_body(s: Stage) -> None:
    alice = await s.peer("alice")
    for number, method in enumerate(("OPTIONS", "SUBSCRIBE")):
        do = ["to_reply X-One: 1", "to_reply X-Two: 2", "sl_reply 200 OK"]
        alice.send(alice.request(method, f"sip:x@{s.uri()}", do=do, callid=f"{s.flow}-{number}"))
        await alice.expect(f"200 {method}")


@flow(TRICKS)
async def options_reply(s: Stage) -> None:
    """siputils.options_reply, to the server and to a user at it."""
    alice = await s.peer("alice")
    for number, uri in enumerate((f"sip:{s.uri()}", f"sip:x@{s.uri()}")):
        alice.send(alice.request("OPTIONS", uri, do=["options"], callid=f"{s.flow}-{number}"))
        await alice.barrier()


@flow(TRICKS)
async def reply_twice(s: Stage) -> None:
    """A second final reply of a script is refused; provisional ones before it pass."""
    alice = await s.peer("alice")
    do = [
        "newtran",
        "tm_reply 180 Ringing",
        "tm_reply 183 Progress",
        "tm_reply 486 Busy",
        "tm_reply 500 Never",
    ]
    invite = alice.send(alice.request("INVITE", f"sip:x@{s.uri()}", do=do))
    await finish(alice, invite, "486")


@flow(TRICKS)
async def answer_by_the_server(s: Stage) -> None:
    """A 200 of the script to an INVITE: repeated until the ACK."""
    alice = await s.peer("alice")
    invite = alice.send(alice.request("INVITE", f"sip:x@{s.uri()}", do=["newtran", "tm_reply 200 OK"]))
    ok = await alice.expect("200 INVITE")
    await alice.barrier()
    ack = alice.request("ACK", invite.uri, to=ok.get("to"))
    alice.send(ack)
    await alice.barrier()


@flow(TRICKS)
async def transaction_without_reply(s: Stage) -> None:
    """t_newtran and then nothing: the 100 alone; a repeat is absorbed."""
    alice = await s.peer("alice")
    invite = alice.send(alice.request("INVITE", f"sip:x@{s.uri()}", do=["newtran"]))
    await alice.barrier()
    alice.send(invite)
    await alice.barrier()


@flow(TRICKS)
async def transaction_released(s: Stage) -> None:
    alice = await s.peer("alice")
    invite = alice.send(alice.request("INVITE", f"sip:x@{s.uri()}", do=["newtran", "release"]))
    await alice.barrier()
    alice.send(invite)
    await alice.barrier()


@flow(TRICKS)
async def nothing_done(s: Stage) -> None:
    """A script that does nothing: no answer."""
    alice = await s.peer("alice")
    alice.send(alice.request("OPTIONS", f"sip:x@{s.uri()}", do=["header X-Never: seen"]))
    await alice.barrier()


@flow(ROUTER)
async def malformed_in_the_router(s: Stage) -> None:
    """What sanity_check refuses."""
    alice, bob = await s.pair()
    edits: dict[str, Callable[[Sip], None]] = {
        "scheme": lambda m: setattr(m, "start", "MESSAGE foo:x@127.0.0.1 SIP/2.0"),
        "version": lambda m: setattr(m, "start", m.start.replace("SIP/2.0", "SIP/3.0")),
        "no-cseq": lambda m: m.headers.remove(("CSeq", "1 MESSAGE")),
        "cseq-method": lambda m: _set(m, "CSeq", "1 INVITE"),
        "cseq-value": lambda m: _set(m, "CSeq", "99999999999 MESSAGE"),
        "no-from": lambda m: _drop(m, "From"),
        "no-to": lambda m: _drop(m, "To"),
        "no-callid": lambda m: _drop(m, "Call-ID"),
        "no-via": lambda m: _drop(m, "Via"),
        "length-short": lambda m: _set(m, "Content-Length", "1"),
        "length-long": lambda m: _set(m, "Content-Length", "100"),
        "length-junk": lambda m: _set(m, "Content-Length", "x"),
        "require": lambda m: m.headers.insert(2, ("Proxy-Require", "nosuch, other")),
        "expires": lambda m: m.headers.insert(2, ("Expires", "-4")),
        "two-to": lambda m: m.headers.insert(2, ("To", "<sip:second@test.example>")),
        "to-uri": lambda m: _set(m, "To", "<sip:@@>"),
        "from-no-tag": lambda m: _set(m, "From", "<sip:a@test.example>"),
    }
    for name, edit in edits.items():
        message = alice.request("MESSAGE", bob.contact, callid=f"{s.flow}-{name}", body="hello")
        edit(message)
        alice.send(message)
        await alice.barrier()
        if any(e.startswith("MESSAGE") for e in bob.untaken()):
            bob.reply(await bob.expect("MESSAGE"), 200, "OK")
            await alice.expect("200 MESSAGE")


def _set(message: Sip, name: str, value: str) -> None:
    headers = message.headers
    headers[[n for n, _ in headers].index(name)] = (name, value)


def _drop(message: Sip, name: str) -> None:
    headers = message.headers
    del headers[[n for n, _ in headers].index(name)]


@flow(TRICKS)
async def not_sip_at_all(s: Stage) -> None:
    """Bytes that are no message, CRLF keep-alives: nothing comes back, and the server lives."""
    alice = await s.peer("alice")
    for data in (
        b"\r\n\r\n",
        b"\r\n",
        b"\0\0\0\0",
        b"hello",
        b"INVITE\r\n\r\n",
        b"\xff" * 200,
        b"SIP/2.0 200 OK\r\n\r\n",
    ):
        alice.send(data)
    for data in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n\r\n",
        b"SIP/2.0 abc OK\r\nVia: x\r\n\r\n",
    ):
        alice.send(data)
    await alice.barrier()


@flow(TRICKS)
async def relayed_as_written(s: Stage) -> None:
    """Odd but valid writing survives: compact and odd-case names, folding, blanks, lists, UTF-8."""
    alice, bob = await s.pair()
    text = (
        f"MESSAGE {bob.contact} SIP/2.0\r\n"
        f"v:  SIP / 2.0 / UDP {alice.hostport} ;branch=z9hG4bK-{s.flow}-alice-1\r\n"
        "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-earlier-1,"
        " SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK-earlier-2\r\n"
        "max-forwards:   9\r\n"
        f'f: "A. \\"Quoted\\" Näme" <sip:alice@test.example> ;tag=alice-tag;x\r\n'
        f"t:sip:bob@test.example\r\n"
        f"i: {s.flow}@alice\r\n"
        "CSEQ: 0001  MESSAGE\r\n"
        "X-Folded: one\r\n two\r\n\tthree\r\n"
        "X-Empty:\r\n"
        "X-Blank  :  padded  \r\n"
        "X-Do: relay\r\n"
        "l: 5\r\n"
        "\r\nhello"
    )
    alice.send(text.encode())
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def big_message(s: Stage) -> None:
    """A body of 20 kB through UDP and TCP."""
    alice, bob, stream = await s.peer("alice"), await s.peer("bob"), await s.peer("stream", "tcp")
    for number, target in enumerate((bob, stream)):
        alice.send(
            alice.request(
                "MESSAGE", target.contact, do=["relay"], callid=f"{s.flow}-{number}", body="0123456789" * 2000
            )
        )
        arrived = await target.expect("MESSAGE")
        s.notes.append(f"{target.name} got a body of {len(arrived.body)}")
        arrived.body = ""
        target.reply(arrived, 200, "OK")
        await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def many_headers(s: Stage) -> None:
    alice, bob = await s.pair()
    headers = [(f"X-Header-{i}", "v" * i) for i in range(60)]
    alice.send(alice.request("MESSAGE", bob.contact, do=["relay"], headers=headers, body="x"))
    bob.reply(await bob.expect("MESSAGE"), 200, "OK", headers=headers)
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def no_content_length(s: Stage) -> None:
    """Over UDP a missing Content-Length is no error."""
    alice, bob, stream = await s.peer("alice"), await s.peer("bob"), await s.peer("stream", "tcp")
    for number, target in enumerate((bob, stream)):
        request = alice.request("MESSAGE", target.contact, do=["relay"], body="hello", callid=f"{s.flow}-{number}")
        request.headers = [h for h in request.headers if h[0] != "Content-Length"]
        alice.send(request)
        target.reply(await target.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def rfc2543_caller(s: Stage) -> None:
    """A branch without the magic cookie, and no branch at all."""
    alice, bob = await s.pair()
    for number, params in enumerate((";branch=1", "")):
        via = f"SIP/2.0/UDP {alice.hostport}{params}"
        invite = alice.send(
            alice.request("INVITE", bob.contact, via=via, do=["relay"], callid=f"{s.flow}-{number}", body=SDP)
        )
        arrived = await bob.expect("INVITE")
        alice.send(invite)
        await alice.barrier()
        bob.reply(arrived, 486, "Busy Here")
        await bob.expect("ACK")
        reply = await alice.expect("486 INVITE")
        alice.send(alice.ack_failure(invite, reply))
        await alice.barrier()
