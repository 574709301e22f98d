"""What rtpproxy's functions are tried on: bodies of routes, and the messages that they are run for."""

from __future__ import annotations

from relay_twin import FORMS, SDP, Case, call, message

OWN = SDP.replace("0 8 101\r\n", "0 8 101\r\nc=IN IP4 5.5.5.5\r\n")
VIDEO = "m=video 5000 RTP/AVP 96\r\nc=IN IP4 5.6.7.8\r\na=rtpmap:96 H264/90000\r\na=rtcp:5001\r\n"
TWO = SDP + VIDEO
IP6 = SDP.replace("IP4 1.2.3.4", "IP6 2001:db8::1")
ICE = (
    SDP + "a=candidate:1 1 UDP 2130706431 192.168.1.2 4000 typ host\r\na=x:1\r\n"
    "a=candidate:1 2 UDP 2130706430 192.168.1.2 4001 typ host\r\na=y:1\r\n"
)
MARK = "a=nortpproxy:yes\r\n"
PARTS = (
    f"--bb\r\nContent-Type: text/plain\r\n\r\n{SDP}\r\n--bb\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--bb--\r\n"
)


def offer(flags: str = "") -> str:
    """A body that offers."""
    return call(f'rtpproxy_offer("{flags}")')


def media(text: str) -> str:
    """The description with another protocol and formats."""
    return SDP.replace("RTP/AVP 0 8 101", text)


FLAGS = (
    "", "1", "2", "3", "a", "b", "l", "ie", "ei", "i", "x", "f", "r", "o", "c", "cor", "w", "z20", "z", "s", "t", "q",
    "z20wr", "12", "aA", "I", "R", "z 20", "1w", "rz30", "fz1z2", "xei",
)  # fmt: skip

DESCRIPTIONS = (
    SDP, TWO, OWN, OWN + VIDEO, IP6, TWO + "m=audio 7000 RTP/AVP 3\r\n", SDP.replace("c=IN IP4 1.2.3.4\r\n", ""),
    SDP.replace("c=IN IP4 1.2.3.4\r\n", "") + VIDEO,
    SDP.replace("c=IN IP4 1.2.3.4\r\n", "").replace("101\r\n", "101\r\nc=IN IP4 3.3.3.3\r\n"),
    SDP.replace("c=IN IP4 1.2.3.4", "c=IN IP4 0.0.0.0"), SDP.replace("c=IN IP4 1.2.3.4", "c=IN IP6 ::"),
    SDP + "m=video 5000 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\na=rtcp:5\r\n",
    SDP.replace("audio 4000", "audio 0"), SDP.replace("audio 4000", "audio 0") + "a=rtcp:7\r\n",
    SDP.replace("audio 4000", "audio 00"), SDP.replace("4000 ", "4000/2 "), SDP.replace("audio 4000", "audio abc"),
    TWO.replace("video 5000", "video 0"), SDP + "a=rtcp:4001\r\n", SDP + "a=rtcp:4001 IN IP4 1.2.3.4\r\n",
    SDP + "a=rtcp:7\r\na=rtcp:8\r\n", SDP + "a=rtcp-mux\r\na=rtcp-fb:* nack\r\n",
    SDP.replace("t=0 0\r\n", "t=0 0\r\na=rtcp:77\r\n"), SDP.replace("t=0 0\r\n", "c=IN IP4 5.5.5.5\r\nt=0 0\r\n"),
    SDP + MARK, SDP.replace("t=0 0\r\n", "t=0 0\r\n" + MARK), SDP + "a=nortpproxy:no\r\n",
    SDP + "a=nortpproxy:yesno\r\n",
    SDP + "a=x:" + MARK, SDP + MARK.strip(), SDP.replace("o=- 1 1 IN IP4 1.2.3.4\r\n", ""), SDP[: SDP.index("m=")],
    SDP.replace("\r\n", "\n"), SDP[:-2], SDP + "\r\n", "\r\n" + SDP,
    "hello\r\n", "", SDP.replace("v=0\r\n", ""), SDP.replace("v=0", "v=1"),
    SDP + "\r\nm=audio", SDP[SDP.index("m=") :], SDP + "m=audio 4 RTP/AVP 0\r\n" * 20,
    SDP.replace("o=- 1 1 IN IP4 1.2.3.4", "o=- 1 1 IN"), SDP.replace("o=- 1 1 IN IP4 1.2.3.4", "o=a b 1 1 IN IP4 h.x "),
    SDP.replace("c=IN IP4 1.2.3.4", "c=IN IP4 224.2.3.4/127"), SDP.replace("c=IN IP4 1.2.3.4", "c=IN IP5 1.2.3.4"),
    SDP.replace("c=IN IP4 1.2.3.4", "c=XX IP4 1.2.3.4 x"), SDP.replace("c=IN IP4 1.2.3.4", "c=in ip4 1.2.3.4"),
    OWN.replace("c=IN IP4 5.5.5.5", "c=IN IP6 2001:db8::5") + "m=video 5000 RTP/AVP 96\r\n",
    SDP + "m=video 5000 RTP/AVP 96\r\nc=IN IP6 2001:db8::5\r\nm=audio 7 RTP/AVP 0\r\n",
    *(media(text) for text in (
        "udptl t38", "udptl 0", "UDP/TLS/RTP/SAVPF 0 8", "RTP/SAVP 0", "TCP/MSRP *", "TCP/MSRP 0 1", "RTP/AVP", "UDP 0",
        "RTP/AVP abc", "RTP/AVP 0 abc 8", "RTP/AVP abc 0", "RTP/AVP  0  8", "RTP/AVP 1x 2", "xyz 5 6", "UDP/BFCP *",
        "DTLS/SCTP 5000",
    )),
)  # fmt: skip

OFFERS = (
    *(Case(offer(flags), message()) for flags in FLAGS),
    *(Case(offer(flags), message(IP6)) for flags in ("awiez20", "x", "xw", "er")),
    *(Case(offer(), message(sdp)) for sdp in DESCRIPTIONS),
    *(Case(offer("c"), message(sdp)) for sdp in (TWO, OWN, OWN + VIDEO)),
    *(Case(offer("r"), message(sdp)) for sdp in (TWO, IP6 + VIDEO)),
    *(Case(offer(flags), message(SDP + MARK)) for flags in ("f", "fc")),
    *(Case(call(f'rtpproxy_offer("", "{ip}")'), message(TWO)) for ip in ("5.5.5.5", "2001:db8::7", "host.name")),
    Case(offer() + offer(), message()),
    Case(offer() + "msg_apply_changes();" + offer(), message()),
    Case(offer(), message(PARTS, content_type="multipart/mixed;boundary=bb")),
    Case(offer(), message(PARTS, content_type='multipart/mixed;boundary="bb"')),
    *(Case(offer(), message(content_type=kind)) for kind in ("text/plain", "APPLICATION/SDP;x=y", "")),
    Case(offer(), message(from_tag="")),
)

MESSAGES = tuple(
    Case(call(f"rtpproxy_{name}()"), message(**form))  # type: ignore[arg-type]
    for name in ("offer", "answer", "manage")
    for form in (*FORMS, {"sdp": SDP + MARK})
)

_THREE = ({}, {"to_tag": "tt"}, {"to_tag": "tt", "status": 200})
OTHERS = (
    *(
        Case(call(f'rtpproxy_destroy("{flags}")'), message(**form))  # type: ignore[arg-type]
        for flags in ("", "1", "2", "3", "b", "t", "1t", "x", "ir")
        for form in ({"to_tag": "tt", "method": "BYE", "sdp": ""}, {"to_tag": "tt", "status": 200})
    ),
    *(
        Case(call(function), message(**form))  # type: ignore[arg-type]
        for function in (
            "unforce_rtp_proxy()", 'unforce_rtp_proxy("t")', "start_recording()", 'rtpproxy_stream2uac("/a/b", "-1")',
            'rtpproxy_stream2uas("/a/b", "3")', 'rtpproxy_stream2uas("", "0")', "rtpproxy_stop_stream2uac()",
            "rtpproxy_stop_stream2uas()", "$var(o) = $(rtpstat{s.encode.hexa})", "$var(o) = $(rtppstat{s.encode.hexa})",
        )
        for form in _THREE
    ),
    *(Case(call(f'rtpproxy_manage("{flags}")'), message(**form)) for flags in ("cor", "1", "co1b")  # type: ignore[arg-type]
      for form in ({}, {"to_tag": "tt", "status": 200}, {"to_tag": "tt", "method": "BYE"})),
)  # fmt: skip

ICE_CASES = tuple(
    Case(f"$avp(p) = {value};" + call(f'rtpproxy_offer({address})'), message(sdp))
    for value, address, sdp in (
        ("1", "", ICE), ("2", "", ICE), ("0", "", ICE), ("$null", "", ICE), ("3", "", ICE), ("'1'", "", ICE),
        ("1", "", TWO), ("1", '"", "7.7.7.7"', ICE), ("1", '"", "2001:db8::7"', ICE),
        ("1", "", ICE[: -len("a=y:1\r\n") - 2]),
        ("1", "", ICE.replace("audio 4000", "audio 0")), ("1", "", ICE.replace("c=IN IP4 1.2.3.4", "c=IN IP4 0.0.0.0")),
        ("1", "", ICE + "m=video 5000 RTP/AVP 96\r\na=candidate:2 3 UDP 99 192.168.1.2 5000 typ host\r\n"
         "a=end-of-candidates\r\nm=audio 4 RTP/AVP 0\r\na=rtcp:9\r\n"),
    )
)  # fmt: skip

#: What a relay answers to an offer, stream after stream.
ANSWERS = (
    ("4100",), ("4100 2001:db8::9",), ("4100 2001:db8::9 6",), ("4100 10.1.1.1 4",), ("0",), ("0 1.1.1.1",), ("E8",),
    ("garbage",), ("",), ("4100 10.1.1.1 extra",), ("99999 1.1.1.1",), ("4100 host",), ("-1",),
    ("4100", "4200 10.0.0.2"),
    ("4100 10.0.0.1", "E8"), ("E8", "4100 10.0.0.1"), ("4100 10.0.0.1", "4200 2001:db8::2 6"), ("4100 10.0.0.1", "0"),
    ("4100\n",), ("4100 10.0.0.1\n", "4200 10.0.0.2\n"), ("4100 a b c d e f g h",), (" 4100 1.1.1.1",),
    ("4100x 1.1.1.1",),
)  # fmt: skip
ANSWERED = tuple(
    Case(offer(flags), message(sdp, call_id=f"n{n}@x"))
    for n, answers in enumerate(ANSWERS)
    for sdp, flags in ([(TWO, ""), (OWN + VIDEO, "c"), (OWN + VIDEO, "")] if len(answers) > 1 else [(SDP, "")])
) + tuple(Case(offer(), message(SDP.replace("c=IN IP4 1.2.3.4", "c=IN IP4 0.0.0.0"), call_id="n2@x")) for _ in (0,))
