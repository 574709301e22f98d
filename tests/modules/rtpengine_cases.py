"""What rtpengine's functions are tried on: bodies of routes, and the messages that they are run for."""

from __future__ import annotations

from relay_twin import FORMS, SDP, Case, call, message

FLAGS = (
    "", "via-branch=1", "via-branch=2", "via-branch=auto", "via-branch=x", "via-branch=extra", "via-branch",
    "asymmetric", "force-answer", "direction=a direction=b", "internal external", "address-family=IP6", "trust-address",
    "SIP-source-address", "replace-origin replace-session-connection", "SIP-source-address replace-origin xyz",
    "symmetric", "repacketize=20", "repacketize=x", "repacketize", "repacketize=-1", "repacketize=5x", "ICE=force",
    "ICE=force-relay", "ICE=force ICE=remove", "RTP", "SRTP", "AVP", "AVPF", "DTLS", "RTP/AVP", "RTP/SAVP", "RTP/AVPF",
    "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP AVPF", "SRTP AVPF", "RTP AVP", "AVPF AVP",
    "DTLS AVPF", "DTLS RTP", "SRTP DTLS", "AVPF SRTP RTP", "RTP=x", "rtp/avp", "OSRTP", "to-tag", "to-tag=xyz",
    "to-tag=", "from-tag=abc", "from-tag", "from-tag=", "call-id=foo", "call-id", "rtcp-mux-demux rtcp-mux-offer",
    "rtcp-mux=x", "rtcp-mux", "rtcp-mux-", "media-address=2001:db8::1", "TOS=184", "TOS=-1", "TOS=x", "TOS", "TOS=12x",
    "delete-delay=5", "delete-delay=x", "delete-delay", "DTLS=passive", "SDES-off", "SDES=off", "SDES", "SDES-",
    "SDES-unencrypted_srtp SDES-unauthenticated_srtp", "SDES-off=1", "record-call=on", "record-call", "metadata=foo",
    "codec-transcode=PCMU codec-transcode=PCMA", "codec-set=opus/48000", "codec-mask=all codec-strip=x codec-offer=y",
    "codec-except=x", "codec-mask", "codec", "codec=", "codec=mask", "codec-x", "codec-mask-PCMU", "codec-accept=x",
    "transcode-PCMU", "transcode", "strip-x", "mask=PCMU", "T.38=decode T.38=force", "T38=x", "T.38-x", "T38-x", "T.38",
    "xyz=abc xyz=def", "xyz xyz", "  xyz   abc  ", "x= y=", "=x", "1", "directional", "all", "replace", "replace=",
    "replace-", "replace=origin", "replace-origin=1", "internal=x", "direction=", "a=b=c", "a\tb", "x-y-z",
    "flags=x y", "supports=load limit", "sdp=x", "command=x", "received-from=1.2.3.4", "ice=force", "Replace-Origin",
    "ICE=force replace-origin xyz codec-mask=all T.38=force direction=a rtcp-mux-demux SDES-off a=b via-branch=1 TOS=3 "
    "delete-delay=4 RTP/SAVPF media-address=7.7.7.7 repacketize=2 to-tag=q from-tag=w call-id=e abc internal "
    "address-family=IP4 record-call=on",
)  # fmt: skip

PARTS = (
    "--bb\r\nContent-Type: text/plain\r\n\r\nhello\r\n--bb\r\nContent-Type: application/sdp\r\n\r\n" + SDP
    + "\r\n--bb--\r\n"
)  # fmt: skip
FRAGMENT = "application/trickle-ice-sdpfrag"


def offer(flags: str = "") -> str:
    """A body that offers."""
    return call(f'rtpengine_offer("{flags}")')


OFFERS = (
    *(Case(offer(flags), message()) for flags in FLAGS),
    Case(offer() + offer(), message()),
    Case(offer() + "msg_apply_changes();" + offer(), message()),
    Case(offer(), message(PARTS, content_type="multipart/mixed;boundary=bb")),
    *(Case(offer("xyz"), message(content_type=kind)) for kind in ("text/plain", "APPLICATION/SDP;x=y", "", FRAGMENT)),
    Case(offer(), message("garbage")),
    Case(call("rtpengine_manage()"), message("garbage")),
    *(Case(call("rtpengine_info()"), message(content_type=kind)) for kind in (FRAGMENT, "text/plain")),
)

MESSAGES = tuple(
    Case(call(f"rtpengine_{name}()"), message(**form))  # type: ignore[arg-type]
    for name in ("offer", "answer", "manage")
    for form in FORMS
)

_THREE = ({"sdp": ""}, {"to_tag": "tt", "sdp": ""}, {"to_tag": "tt", "status": 200})
_COMMANDS = (
    "rtpengine_delete", "rtpengine_query", "rtpengine_info", "start_recording", "stop_recording", "block_dtmf",
    "unblock_dtmf", "block_media", "unblock_media", "silence_media", "unsilence_media", "start_forwarding",
    "stop_forwarding", "stop_media", "play_media", "play_dtmf",
)  # fmt: skip
_OTHER_FLAGS = (
    "", "directional", "address=1.2.3.4 all file=x", "to-tag", "to-tag=q from-tag=w call-id=e", "via-branch=1",
    "force-answer", "replace-origin RTP/SAVPF codec-mask=x rtcp-mux-demux SDES-off T.38=force direction=a xyz k=v",
)  # fmt: skip
_ALWAYS = ("rtpengine_delete", "rtpengine_query", "block_dtmf", "play_dtmf")
OTHERS = (
    *(
        Case(call(f'{name}("{flags}")'), message(**form))  # type: ignore[arg-type]
        for name in _COMMANDS
        for flags in _OTHER_FLAGS
        for form in (_THREE if name in _ALWAYS else _THREE[2:])
    ),
    *(Case(call(f"{name}()"), message()) for name in _COMMANDS if not name.startswith("play")),
    *(
        Case(call(f'rtpengine_{name}("{flags}")'), message(**form))  # type: ignore[arg-type]
        for name, form in (
            ("offer", {"to_tag": "tt", "status": 200}), ("answer", {"to_tag": "tt", "status": 200}),
            ("offer", {"to_tag": "tt"}), ("answer", {"to_tag": "tt", "method": "ACK"}),
        )
        for flags in ("from-tag=w", "to-tag=q", "from-tag=w to-tag=q", "force-answer", "directional", "to-tag",
                      "via-branch=auto", "via-branch=auto-next", "via-branch=auto-extra", "via-branch=2")
        if not (flags.endswith("next") and "status" not in form)
    ),
    *(Case(call(f'{name}("{flags}")'), message(from_tag="")) for name in ("rtpengine_delete", "block_media")
      for flags in ("", "from-tag=x")),
    *(Case(call(f'rtpengine_manage("{flags}")'), message(**form))  # type: ignore[arg-type]
      for flags in ("replace-origin replace-session-connection", "via-branch=1")
      for form in ({}, {"to_tag": "tt", "status": 200}, {"to_tag": "tt", "method": "BYE"})),
)  # fmt: skip
