"""The settings of TCP, under the names of Kamailio's global parameters."""

from __future__ import annotations

import socket
from dataclasses import dataclass

_SO_LINGER_RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds


@dataclass(slots=True)
class TcpLimits:
    """Bounds and options of connections; times in seconds, sizes in bytes. May be changed while running.

    Bounds:

    - `tcp_max_connections`: connections in all, in both directions; more are refused.
    - `tls_max_connections`: those among them with TLS.
    - `tcp_accept_iplimit`: accepted connections per source IP address; 0 for no limit.
    - `tcp_accept_unique`: 1 refuses a connection from an IP and port that already has one to us.
    - `tcp_conn_wq_max`: bytes that may wait to be written on one connection (while connecting, too).
    - `tcp_wq_max`: the same over all connections.
    - `msg_recv_max_size`: the longest message taken; a longer one closes the connection.

    Times:

    - `tcp_connection_lifetime`: a connection without a message or keepalive for that long is closed;
      negative for never.
    - `tcp_msg_read_timeout`: a message begun must be complete by then, or its connection is closed; 0
      for never.
    - `tcp_msg_data_timeout`: an accepted connection must send its first byte by then; 0 for never.
    - `tcp_connect_timeout`: for the peer to accept.
    - `tls_handshake_timeout`: for a TLS handshake, once TCP has a connection.
    - `tcp_send_timeout`: a connection whose peer takes nothing for that long is closed.

    Behaviour:

    - `tcp_no_connect`: only send on connections that exist.
    - `tcp_connection_match`: 1 uses a connection only from the very listener that a message leaves by; 0
      any to that destination, those of the listener first.
    - `tcp_accept_aliases`: the node registers an alias for a Via with an `alias` parameter.
    - `tcp_accept_no_cl`: take messages without Content-Length (HTTP).
    - `tcp_accept_haproxy`: a connection may begin with a header of the PROXY protocol, which says whose it is.
    - `tcp_accept_hep3`: know packets of HEP3, which nothing takes; the connection of one is closed.
    - `tcp_crlf_ping`: answer a double CRLF by a CRLF (RFC 5626 §4.4.1).
    - `tcp_source_ipv4`, `tcp_source_ipv6`: connect from this address in place of the listener's; "" for none.
    - `tcp_reuse_port`: connect from the listener's own port.
    - `tcp_keepalive`, `tcp_keepidle`, `tcp_keepintvl`, `tcp_keepcnt`, `tcp_linger2`, `tcp_syncnt`,
      `tcp_defer_accept`, `tcp_delayed_ack`: the kernel's options of like names; 0 keeps the system's value.
    - `tcp_close_rst`: close by RST, which leaves nothing in TIME_WAIT.
    - `tcp_listen_backlog`: connections that the kernel holds until we accept them.
    """

    tcp_max_connections: int = 2048
    tls_max_connections: int = 2048
    tcp_accept_iplimit: int = 1024
    tcp_accept_unique: int = 0
    tcp_conn_wq_max: int = 32 * 1024
    tcp_wq_max: int = 10 * 1024 * 1024
    msg_recv_max_size: int = 65535

    tcp_connection_lifetime: float = 120
    tcp_msg_read_timeout: float = 20
    tcp_msg_data_timeout: float = 20
    tcp_connect_timeout: float = 10
    tls_handshake_timeout: float = 10
    tcp_send_timeout: float = 10

    tcp_no_connect: bool = False
    tcp_connection_match: int = 0
    tcp_accept_aliases: bool = False
    tcp_accept_no_cl: bool = False
    tcp_accept_haproxy: bool = False
    tcp_accept_hep3: bool = False
    tcp_crlf_ping: bool = True
    tcp_source_ipv4: str = ""
    tcp_source_ipv6: str = ""
    tcp_reuse_port: bool = False
    tcp_keepalive: bool = True
    tcp_keepidle: int = 0
    tcp_keepintvl: int = 0
    tcp_keepcnt: int = 0
    tcp_linger2: int = 0
    tcp_syncnt: int = 0
    tcp_defer_accept: int = 0
    tcp_delayed_ack: bool = True
    tcp_close_rst: bool = False
    tcp_listen_backlog: int = 1024

    def apply(self, sock: socket.socket) -> None:
        """Set the kernel's options; on a listening socket, accepted ones inherit them. Raises OSError."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(self.tcp_keepalive))
        for option, value in (
            (socket.TCP_KEEPIDLE, self.tcp_keepidle),
            (socket.TCP_KEEPINTVL, self.tcp_keepintvl),
            (socket.TCP_KEEPCNT, self.tcp_keepcnt),
            (socket.TCP_LINGER2, self.tcp_linger2),
            (socket.TCP_SYNCNT, self.tcp_syncnt),
            (socket.TCP_DEFER_ACCEPT, self.tcp_defer_accept),
        ):
            if value:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        if not self.tcp_delayed_ack:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if self.tcp_close_rst:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _SO_LINGER_RESET)
