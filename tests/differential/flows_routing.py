"""Flows of where requests go: Route sets, strict routers, protocols, addresses, hops."""

from __future__ import annotations

from .flows_calls import SDP, establish, in_dialog
from .flows_forks import finish
from .peers import Peer, Sip, Stage
from .setups import (
    ADVERTISED,
    DOUBLE_RR_OFF,
    OTHER_ADVERTISED,
    RESOLVING,
    ROUTER,
    STANDARD_ADVERTISED,
    STANDARD_PORT,
    TRICKS,
)
from .stages import flow


@flow(TRICKS)
async def route_to_another_proxy(s: Stage) -> None:
    """A Route after the server's own: the request goes there with the Request-URI unchanged."""
    alice, bob, proxy = await s.peer("alice"), await s.peer("bob"), await s.peer("proxy")
    routes = [f"<sip:{s.uri()};lr>", f"<sip:{proxy.hostport};lr>", "<sip:far.test.example;lr>"]
    message = alice.request("MESSAGE", bob.contact, routes=routes, do=["?loose", "relay"], body="hi")
    alice.send(message)
    arrived = await proxy.expect("MESSAGE")
    proxy.reply(arrived, 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def route_in_one_header(s: Stage) -> None:
    alice, bob, proxy = await s.peer("alice"), await s.peer("bob"), await s.peer("proxy")
    routes = [f'<sip:{s.uri()};lr;ftag=zzz>, "Next" <sip:{proxy.hostport};lr>;x=y, <sip:far.test.example;lr>']
    alice.send(alice.request("MESSAGE", bob.contact, routes=routes, do=["?loose", "relay"], body="hi"))
    proxy.reply(await proxy.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def route_not_ours(s: Stage) -> None:
    """The topmost Route is another's: loose_route leaves it, and the request follows it."""
    alice, bob, proxy = await s.peer("alice"), await s.peer("bob"), await s.peer("proxy")
    routes = [f"<sip:{proxy.hostport};lr>"]
    alice.send(alice.request("MESSAGE", bob.contact, routes=routes, do=["?loose", "relay"], body="hi"))
    proxy.reply(await proxy.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def next_hop_is_strict(s: Stage) -> None:
    """A next Route without lr: it becomes the Request-URI, which goes to the end of the Routes."""
    alice, bob, strict = await s.peer("alice"), await s.peer("bob"), await s.peer("strict")
    routes = [f"<sip:{s.uri()};lr>", f"<sip:strict@{strict.hostport}>", "<sip:far.test.example;lr>"]
    alice.send(alice.request("MESSAGE", bob.contact, routes=routes, do=["?loose", "relay"], body="hi"))
    strict.reply(await strict.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def previous_hop_is_strict(s: Stage) -> None:
    """The Request-URI is the server's own Record-Route URI: the last Route is the target."""
    alice, bob = await s.pair()
    routes = [f"<{bob.contact}>"]
    own = f"sip:{s.uri()};lr;ftag=alice-tag"
    message = alice.request("BYE", own, to="<sip:bob@test.example>;tag=bob-tag", routes=routes, do=["?loose", "relay"])
    alice.send(message)
    bob.reply(await bob.expect("BYE"), 200, "OK")
    await alice.expect("200 BYE")


@flow(TRICKS)
async def previous_hop_is_strict_with_more(s: Stage) -> None:
    alice, bob, proxy = await s.peer("alice"), await s.peer("bob"), await s.peer("proxy")
    routes = [f"<sip:{proxy.hostport};lr>", f"<{bob.contact}>"]
    own = f"sip:{s.uri()};lr;ftag=alice-tag"
    message = alice.request("BYE", own, to="<sip:bob@test.example>;tag=bob-tag", routes=routes, do=["?loose", "relay"])
    alice.send(message)
    proxy.reply(await proxy.expect("BYE"), 200, "OK")
    await alice.expect("200 BYE")


@flow(TRICKS)
async def both_hops_are_strict(s: Stage) -> None:
    alice, bob, strict = await s.peer("alice"), await s.peer("bob"), await s.peer("strict")
    routes = [f"<sip:strict@{strict.hostport}>", f"<{bob.contact}>"]
    own = f"sip:{s.uri()};lr;ftag=alice-tag"
    message = alice.request("BYE", own, to="<sip:bob@test.example>;tag=bob-tag", routes=routes, do=["?loose", "relay"])
    alice.send(message)
    strict.reply(await strict.expect("BYE"), 200, "OK")
    await alice.expect("200 BYE")


@flow(ROUTER)
async def max_forwards(s: Stage) -> None:
    """0 is refused; more is decremented, too many are cut down, none is added."""
    alice, bob = await s.pair()
    alice.send(alice.request("MESSAGE", bob.contact, max_forwards=0, callid=f"{s.flow}-0"))
    await alice.expect("483 MESSAGE")
    for given in (1, 10, 11, 255, None):
        alice.send(alice.request("MESSAGE", bob.contact, max_forwards=given, callid=f"{s.flow}-{given}"))
        bob.reply(await bob.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")


@flow(ROUTER)
async def max_forwards_malformed(s: Stage) -> None:
    alice, bob = await s.pair()
    for given in ("x", "-1", "70000", ""):
        request = alice.request("MESSAGE", bob.contact, max_forwards=None, callid=f"{s.flow}-{given or 'empty'}")
        request.headers.insert(1, ("Max-Forwards", given))
        alice.send(request)
        await alice.barrier()
        if any(e.message.is_request for i, e in enumerate(bob.entries) if i not in bob._taken):
            bob.reply(await bob.expect("MESSAGE"), 200, "OK")
            await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def spiral(s: Stage) -> None:
    """Through the server, another proxy and the server again with another Request-URI: two transactions."""
    alice, bob, proxy = await s.peer("alice"), await s.peer("bob"), await s.peer("proxy")
    alice_invite = alice.send(alice.request("INVITE", f"sip:x@{proxy.hostport}", do=["rr", "relay"]))
    first = await proxy.expect("INVITE")
    again = Sip(f"INVITE {bob.contact} SIP/2.0", [("Via", proxy.via()), *first.headers])
    proxy.send(again)
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 200, "OK")
    back = await proxy.expect("200 INVITE")
    back.headers.remove(("Via", back.all("via")[0]))
    proxy.send(back)
    await alice.expect("200 INVITE")
    del alice_invite


@flow(TRICKS)
async def spiral_in_place(s: Stage) -> None:
    """The server's own address as next hop: the request comes back to it until Max-Forwards ends that."""
    alice, bob = await s.pair()
    do = ["!maxfwd 5", f"duri sip:{s.uri()}", "relay"]
    alice.send(alice.request("MESSAGE", bob.contact, do=do, max_forwards=3, body="hi"))
    await alice.expect("... MESSAGE")
    del bob


@flow(TRICKS)
async def udp_to_tcp(s: Stage) -> None:
    """Record-Route twice where the protocol changes, and both are taken off in the dialog."""
    alice, bob = await s.peer("alice"), await s.peer("bob", "tcp")
    invite, ok, arrived = await establish(alice, bob)
    await in_dialog("INFO", alice, bob, alice.in_dialog("INFO", invite, ok))
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived))


@flow(TRICKS)
async def tcp_to_udp(s: Stage) -> None:
    alice, bob = await s.peer("alice", "tcp"), await s.peer("bob")
    invite, ok, arrived = await establish(alice, bob)
    await in_dialog("BYE", alice, bob, alice.in_dialog("BYE", invite, ok))
    del arrived


@flow(TRICKS)
async def tcp_to_tcp(s: Stage) -> None:
    alice, bob = await s.peer("alice", "tcp"), await s.peer("bob", "tcp")
    invite, ok, arrived = await establish(alice, bob)
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived))
    del invite, ok


@flow(DOUBLE_RR_OFF)
async def udp_to_tcp_single_record_route(s: Stage) -> None:
    alice, bob = await s.peer("alice"), await s.peer("bob", "tcp")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", "relay"]))
    bob.reply(await bob.expect("INVITE"), 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "404")


@flow(TRICKS)
async def tcp_not_listening(s: Stage) -> None:
    """A TCP target that refuses the connection."""
    alice, gone = await s.peer("alice"), await s.peer("gone", "tcp")
    gone.hang_up()
    invite = alice.send(alice.request("INVITE", gone.contact, do=["fr 0 600", "relay"]))
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def tcp_cancel(s: Stage) -> None:
    alice, bob = await s.peer("alice", "tcp"), await s.peer("bob", "tcp")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    bob.reply(await bob.expect("CANCEL"), 200, "OK")
    bob.reply(arrived, 487, "Terminated")
    await bob.expect("ACK")
    await finish(alice, invite, "487")


@flow(TRICKS)
async def tcp_stream_in_pieces(s: Stage) -> None:
    """Two requests in one segment, one in three, with CRLFs between."""
    alice, bob = await s.peer("alice", "tcp"), await s.peer("bob")
    requests = [
        alice.request("MESSAGE", bob.contact, do=["relay"], callid=f"{s.flow}-{i}", body="hi" * i) for i in range(3)
    ]
    wire = [r.encode() for r in requests]
    alice.send(wire[0] + b"\r\n\r\n" + wire[1])
    for _ in range(2):
        bob.reply(await bob.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")
    for piece in (wire[2][:10], wire[2][10:-3], wire[2][-3:]):
        alice.send(piece)
        await bob.barrier()
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def reply_to_a_closed_connection(s: Stage) -> None:
    """The caller's connection is gone: the reply goes to the Via's address by a new one."""
    alice, bob = await s.peer("alice", "tcp"), await s.peer("bob")
    alice.send(alice.request("MESSAGE", bob.contact, do=["relay"], body="hi"))
    arrived = await bob.expect("MESSAGE")
    await alice.drop_connections()
    bob.reply(arrived, 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def ipv6(s: Stage) -> None:
    alice, bob = await s.peer("alice", host="::1"), await s.peer("bob", host="::1")
    invite, ok, _ = await establish(alice, bob)
    await in_dialog("BYE", alice, bob, alice.in_dialog("BYE", invite, ok))


@flow(TRICKS)
async def ipv6_to_ipv4(s: Stage) -> None:
    alice, bob = await s.peer("alice", host="::1"), await s.peer("bob")
    _, _, arrived = await establish(alice, bob)
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived))


@flow(TRICKS)
async def ipv4_to_ipv6_tcp(s: Stage) -> None:
    alice, bob = await s.peer("alice"), await s.peer("bob", "tcp", "::1")
    _, _, arrived = await establish(alice, bob)
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived))


@flow(ADVERTISED)
async def advertised_address(s: Stage) -> None:
    """Via and Record-Route show the advertised address; Routes with it are the server's own."""
    alice, bob = await s.pair()
    invite, ok, arrived = await establish(alice, bob)
    await in_dialog("BYE", alice, bob, alice.in_dialog("BYE", invite, ok))
    del arrived


@flow(TRICKS)
async def advertised_by_the_script(s: Stage) -> None:
    alice, bob = await s.pair()
    do = ["adv_address 192.0.2.9", "adv_port 7777", "rr", "relay"]
    alice.send(alice.request("MESSAGE", bob.contact, do=do, body="hi"))
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def record_route_kinds(s: Stage) -> None:
    """Parameters, a preset, an advertised address, a parameter added before and after."""
    alice, bob = await s.pair()
    kinds = (
        ["rr_params ;nat=yes"],
        ["rr_param ;a=1", "rr", "rr_param ;b=2"],
        ["rr_preset 192.0.2.1:5060;z=1"],
        ["rr_adv 192.0.2.2:5070"],
        ["rr", "rr"],
    )
    for number, kind in enumerate(kinds):
        alice.send(alice.request("MESSAGE", bob.contact, do=[*kind, "relay"], callid=f"{s.flow}-{number}"))
        bob.reply(await bob.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")


async def _answered(alice: Peer, bob: Peer, request: Sip) -> Sip:
    alice.send(request)
    bob.reply(await bob.expect(request.method), 200, "OK")
    return await alice.expect(f"200 {request.method}")


@flow(TRICKS)
async def rport_asked_and_forced(s: Stage) -> None:
    """rport in Via, force_rport, and neither, with another sent-by than the source."""
    alice, bob = await s.pair()
    for number, (params, do) in enumerate(((";rport", []), ("", ["rport"]), (";rport", ["rport"]), (";rport=", []))):
        via = f"SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-{s.flow}-alice-{number}{params}"
        request = alice.request("MESSAGE", bob.contact, via=via, do=[*do, "relay"], callid=f"{s.flow}-{number}")
        if params == ";rport=":
            alice.send(request)
            bob.reply(await bob.expect("MESSAGE"), 200, "OK")
            await bob.barrier()
            continue
        await _answered(alice, bob, request)


@flow(TRICKS)
async def received_without_rport(s: Stage) -> None:
    """Another host in Via: `received` is added, and the reply goes to the sent-by port at the source."""
    alice, bob = await s.pair()
    via = f"SIP/2.0/UDP elsewhere.test.example:{alice.port};branch=z9hG4bK-{s.flow}-alice-0"
    await _answered(alice, bob, alice.request("MESSAGE", bob.contact, via=via, do=["relay"]))


@flow(TRICKS)
async def local_rport(s: Stage) -> None:
    alice, bob = await s.pair()
    await _answered(alice, bob, alice.request("MESSAGE", bob.contact, do=["add_rport", "relay"]))


@flow(TRICKS)
async def destination_uri(s: Stage) -> None:
    """$du decides where it goes; the Request-URI stays."""
    alice, bob, proxy = await s.peer("alice"), await s.peer("bob"), await s.peer("proxy")
    request = alice.request("MESSAGE", bob.contact, do=[f"duri sip:{proxy.hostport}", "relay"])
    await _answered(alice, proxy, request)
    do = [f"duri sip:{proxy.hostport}", "noduri", "relay"]
    await _answered(alice, bob, alice.request("MESSAGE", bob.contact, do=do, callid=f"{s.flow}-2"))


@flow(TRICKS)
async def destination_uri_over_tcp(s: Stage) -> None:
    alice, proxy = await s.peer("alice"), await s.peer("proxy", "tcp")
    do = [f"duri sip:{proxy.hostport};transport=tcp", "relay"]
    await _answered(alice, proxy, alice.request("MESSAGE", "sip:bob@far.test.example", do=do))


@flow(TRICKS)
async def relay_variants(s: Stage) -> None:
    """t_relay_to: by flags, by protocol, to a proxy."""
    alice, bob, stream = await s.peer("alice"), await s.peer("bob"), await s.peer("stream", "tcp")
    await _answered(alice, bob, alice.request("MESSAGE", bob.contact, do=["relay_flags 1"], callid=f"{s.flow}-1"))
    proxied = alice.request(
        "MESSAGE", "sip:x@far.test.example", do=[f"relay_proxy udp:{bob.hostport}"], callid=f"{s.flow}-2"
    )
    await _answered(alice, bob, proxied)
    target = f"sip:x@{stream.hostport}"
    await _answered(alice, stream, alice.request("MESSAGE", target, do=["relay_proto tcp"], callid=f"{s.flow}-3"))


@flow(TRICKS)
async def stateless_forward(s: Stage) -> None:
    """forward(): no 100, the reply finds its way by Via; a repeated request goes through each time."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["raw", "rr", "forward"], body=SDP))
    arrived = await bob.expect("INVITE")
    alice.send(invite)
    await bob.repeated(arrived)
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    bob.reply(arrived, 486, "Busy Here")
    reply = await alice.expect("486 INVITE")
    ack = alice.ack_failure(invite, reply)
    ack.headers.insert(-1, ("X-Do", "raw"))
    ack.headers.insert(-1, ("X-Do", "forward"))
    alice.send(ack)
    await bob.expect("ACK")


@flow(TRICKS)
async def stateless_forward_to(s: Stage) -> None:
    alice, bob = await s.pair()
    do = ["raw", f"forward_uri sip:{bob.hostport}"]
    alice.send(alice.request("MESSAGE", "sip:x@far.test.example", do=do, body="hi"))
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def send_socket(s: Stage) -> None:
    """A forced sending socket of another protocol and family decides Via."""
    alice, bob = await s.peer("alice", "tcp"), await s.peer("bob")
    await _answered(alice, bob, alice.request("MESSAGE", bob.contact, do=[f"sock udp:{s.uri()}", "rr", "relay"]))


@flow(TRICKS)
async def replicate(s: Stage) -> None:
    """t_replicate: the copy's replies go nowhere."""
    alice, bob = await s.pair()
    alice.send(alice.request("MESSAGE", f"sip:x@{s.uri()}", do=[f"replicate sip:{bob.hostport}"], body="hi"))
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await bob.barrier()


@flow(TRICKS)
async def uri_edits(s: Stage) -> None:
    """setuser, sethost, seturi as they arrive."""
    alice, bob = await s.pair()
    for number, do in enumerate((["user new"], [f"ruri sip:other:pw@{bob.hostport};x=y?h=v"], ["user "])):
        await _answered(
            alice, bob, alice.request("MESSAGE", bob.contact, do=[*do, "relay"], callid=f"{s.flow}-{number}")
        )
    far = f"sip:bob@far.test.example:{bob.port}"
    await _answered(alice, bob, alice.request("MESSAGE", far, do=["host 127.0.0.1", "relay"], callid=f"{s.flow}-9"))


@flow(RESOLVING)
async def unresolvable(s: Stage) -> None:
    """A host name that can't be resolved."""
    alice = await s.peer("alice")
    invite = alice.send(alice.request("INVITE", "sip:bob@nowhere.invalid:5060", do=["relay"]))
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def bad_targets(s: Stage) -> None:
    """Request-URIs that t_relay can't use."""
    alice = await s.peer("alice")
    for number, uri in enumerate(("tel:+15551234", "http://x.test.example/")):
        alice.send(alice.request("MESSAGE", uri, do=["relay"], callid=f"{s.flow}-{number}"))
        await alice.barrier()


@flow(STANDARD_PORT)
async def standard_port(s: Stage) -> None:
    """Via and Record-Route of a server at port 5060, a dialog through it, over UDP and TCP."""
    alice, bob = await s.peer("alice"), await s.peer("bob")
    invite, ok, arrived = await establish(alice, bob)
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived))
    stream = await s.peer("stream", "tcp")
    alice.send(alice.request("MESSAGE", stream.contact, do=["rr", "relay"], callid=f"{s.flow}-2", body="hi"))
    stream.reply(await stream.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")
    routes = [f"<sip:{s.server['udp'][0]};lr>"]
    alice.send(alice.request("MESSAGE", bob.contact, routes=routes, do=["?loose", "relay"], callid=f"{s.flow}-3"))
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")
    del invite, ok


@flow(STANDARD_PORT)
async def standard_port_pieces(s: Stage) -> None:
    """Record-Route's kinds and an advertised port at port 5060."""
    alice, bob = await s.pair()
    kinds = (
        ["rr_params ;nat=yes"],
        ["rr_preset 192.0.2.1;z=1"],
        ["rr_adv 192.0.2.2"],
        ["adv_address 192.0.2.9", "rr"],
        ["adv_port 5060", "rr"],
        ["adv_port 5099", "rr"],
        ["forward"],
    )
    for number, kind in enumerate(kinds):
        do = ["raw", *kind] if kind == ["forward"] else [*kind, "relay"]
        alice.send(alice.request("MESSAGE", bob.contact, do=do, callid=f"{s.flow}-{number}"))
        bob.reply(await bob.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")


async def _advertised(s: Stage) -> None:
    alice, bob, stream = await s.peer("alice"), await s.peer("bob"), await s.peer("stream", "tcp")
    for number, target in enumerate((bob, stream)):
        alice.send(alice.request("MESSAGE", target.contact, do=["rr", "relay"], callid=f"{s.flow}-{number}"))
        target.reply(await target.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")
    back = stream.request("MESSAGE", bob.contact, do=["rr", "relay"], callid=f"{s.flow}-back")
    stream.send(back)
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await stream.expect("200 MESSAGE")


@flow(STANDARD_ADVERTISED)
async def standard_port_advertised(s: Stage) -> None:
    """Advertised addresses with and without a port, of a server at port 5060."""
    await _advertised(s)


@flow(OTHER_ADVERTISED)
async def other_port_advertised(s: Stage) -> None:
    """The same of a server at another port."""
    await _advertised(s)
