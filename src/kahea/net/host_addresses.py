"""The IP addresses that this host has, and being told when they change, as when a cluster's address moves.

The kernel tells of each change on a netlink socket (rtnetlink(7)); what it says is not read but taken as the reason
to list the addresses anew, so that a change that was missed for want of room does no harm.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

import ifaddr

from kahea.net.address import Address

log = logging.getLogger("kahea.net")

# Groups of rtnetlink that the socket module does not name.
_IPV4_ADDRESSES: Final = 0x10
_IPV6_ADDRESSES: Final = 0x100
_LARGEST: Final = 65536


def host_addresses() -> frozenset[str]:
    """The addresses of all interfaces, as `Address.ip` has them."""
    found = set()
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            text = one.ip if isinstance(one.ip, str) else one.ip[0]
            found.add(Address.of(text.partition("%")[0], 0).ip)
    return frozenset(found)


class AddressWatch:
    """Calls back with the host's addresses: once when it is opened, then whenever they may have changed."""

    def __init__(self, changed: Callable[[frozenset[str]], object]) -> None:
        self._changed = changed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sock: socket.socket | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin. Raises OSError where the kernel tells nothing."""
        # The protocol's number is that of NETLINK_ROUTE.
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._sock.setblocking(False)
        self._sock.bind((0, _IPV4_ADDRESSES | _IPV6_ADDRESSES))
        self._loop = loop
        loop.add_reader(self._sock.fileno(), self._readable)
        self._changed(host_addresses())

    def _readable(self) -> None:
        assert self._sock is not None
        try:
            while True:
                self._sock.recv(_LARGEST)
        except (BlockingIOError, InterruptedError):
            pass  # all is read
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # that some were dropped: the list has them
                log.warning("can't hear of changes of this host's addresses: %s", error.strerror)
                self.close()
                return
        self._changed(host_addresses())

    def close(self) -> None:
        """Stop."""
        if self._sock is None:
            return
        if self._loop is not None:
            self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self._sock = None


__all__ = ["AddressWatch", "host_addresses"]
