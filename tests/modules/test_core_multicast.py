"""A multicast group as a listener, beside real Kamailio: who is answered, and how the listeners are shown."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from processes import KAMAILIO, Server, compared, request

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

GROUP = "239.255.77.2"
CFG = f"""
mcast_loopback=yes
mcast_ttl=0
mcast="lo"
listen=udp:{GROUP}:@PORT
request_route {{
    append_to_reply("X-At: $Ri:$Rp\\r\\n");
    sl_send_reply("200", "OK");
}}
"""


def test_a_request_to_a_group_is_answered(tmp_path: Path) -> None:
    def scenario(server: Server) -> tuple[str, list[str]]:
        caller = server.caller
        caller.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        data = server.fill(request("OPTIONS", f"sip:{GROUP}", callid="group")).encode()
        caller.socket.sendto(data, (GROUP, server.ports["@UDP"]))
        shown = server.rpc("core.sockets_list").replace(str(server.ports["@UDP"]), "@PORT")
        return re.sub(r";tag=[0-9a-f.]+", "", caller.expect("SIP/2.0 200")), shown.split()

    theirs, ours = compared(tmp_path, CFG, ("textops",), scenario)
    assert "Call-ID: group" in ours[0]
    assert f"X-At: {GROUP}:@PORT" in ours[0]
    assert ours == theirs
