"""The node's control socket: management for whoever runs the node, without any module or setting.

A Unix socket of permissions 0600 in a directory of 0700, so that the node's own user and root reach it, nobody else. It
takes JSON-RPC, a document on each line (`kahea ctl`), and BINRPC (`kamcmd -s unix:PATH`); the first byte tells which.

The directory is `$KAHEA_RUN`; else the one that systemd made (`RuntimeDirectory=`); else `/run/kahea` for root, and
`$XDG_RUNTIME_DIR/kahea` or `/tmp/kahea-UID` for others. A socket's name is the process's number.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.net.service import Access, ServiceAddress, Stream, StreamServer
from kahea.net.sockets import BindError
from kahea.routing.module import ConfigError
from kahea.routing.rpc.sessions import BinrpcSession, JsonSession

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.rpc")

ENDING: Final = ".ctl"
_BINRPC: Final = 0xA1


def directories() -> list[Path]:
    """Where control sockets may be, the one that this process would use first."""
    if given := os.environ.get("KAHEA_RUN"):
        return [Path(given)]
    found = []
    if service := os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        found.append(service)
    if os.geteuid() == 0:
        found.append("/run/kahea")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        found.append(f"{runtime}/kahea")
    found += [f"/tmp/kahea-{os.geteuid()}", "/run/kahea"]
    return [Path(text) for text in dict.fromkeys(found)]


def is_served(path: Path) -> bool:
    """Whether a process answers on a Unix stream socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def sockets() -> list[Path]:
    """The control sockets of the nodes that run, as far as this user may see them."""
    found: dict[Path, None] = {}
    for directory in directories():
        with contextlib.suppress(OSError):
            for path in sorted(directory.glob(f"*{ENDING}")):
                if is_served(path):
                    found[path] = None
    return list(found)


class ControlSocket:
    """One node's control socket. `given` is the setting: "" for the default place, "none" for no socket, or a path."""

    def __init__(self, node: Node, given: str = "") -> None:
        self._node = node
        self._given = given
        self._server: StreamServer | None = None

    async def open(self) -> None:
        """Listen. Only a path that was given must work: raises ConfigError for it, and warns of the default place."""
        if self._given == "none":
            return
        try:
            path = Path(self._given) if self._given else _place()
            server = StreamServer(ServiceAddress(datagram=False, path=str(path)), Access(0o600), self._session)
            await server.open()
        except (BindError, OSError) as error:
            if self._given:
                raise ConfigError(f"control_socket: {error}") from error
            log.warning("no control socket, and so no `kahea ctl`: %s", error)
            return
        self._server = server

    def _session(self, stream: Stream) -> _Session:
        return _Session(self._node, stream)

    def close(self) -> None:
        """Stop, and remove it."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _place() -> Path:
    """The path of this process's socket; its directory is made, and is ours. Raises OSError."""
    directory = directories()[0]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise PermissionError(0, f"{directory} is not a directory that this user alone may write to")
    for path in directory.glob(f"*{ENDING}"):
        if not is_served(path):
            with contextlib.suppress(OSError):
                path.unlink()  # of a node that was killed
    return directory / f"{os.getpid()}{ENDING}"


class _Session:
    """One connection: its first byte tells what it speaks."""

    def __init__(self, node: Node, stream: Stream) -> None:
        self._node = node
        self._stream = stream
        self._inner: BinrpcSession | JsonSession | None = None

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if self._inner is None:
            binary = data[0] == _BINRPC
            node, stream = self._node, self._stream
            self._inner = BinrpcSession(node, stream, exact=False) if binary else JsonSession(node, stream)
        self._inner.received(data)

    def lost(self) -> None:
        """The connection is gone."""
        if self._inner is not None:
            self._inner.lost()


__all__ = ["ControlSocket", "directories", "sockets"]
