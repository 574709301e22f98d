"""SIP over TLS: certificates, demands on peers, and what scripts see of both (Kamailio's module tls).

| file | what |
|---|---|
| `config.py` | tls.cfg |
| `certificate.py` | what stands in a certificate |
| `variables.py` | `$tls_...` and `$tls(...)` |
| `selects.py` | `@tls...` |
| here | parameters, functions, management |

The connections themselves are in `net/tls.py`. Peers' certificates are checked against `ca_list` and `ca_path`, never
for the name of the peer: as in Kamailio, that is the script's affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from kahea.modules.tls.config import client_demands, known_method, read_profiles
from kahea.modules.tls.selects import select
from kahea.modules.tls.variables import ASKED, LINES, connection_of, variables, verified
from kahea.net.tls import TlsConnection, TlsListener, TlsNode
from kahea.net.tls_profiles import Profile, ProfileError, Profiles
from kahea.routing.checks import unless
from kahea.routing.generation import event_message
from kahea.routing.lists import lists_of
from kahea.routing.module import ConfigError, Module, Param, RpcError, Value, Variable, function, native, rpc
from kahea.routing.node import Sending
from kahea.routing.pv.select_roots import SELECT_ROOTS
from kahea.routing.run import LOCAL_ROUTE, REQUEST_ROUTE, Run, can_wait, current, wait

if TYPE_CHECKING:
    from kahea.net.address import Address

log = logging.getLogger("kahea.tls")
SELECT_ROOTS["tls"] = select

CONNECTED: Final = "tls:connection-out"

_MEMORY: Final = "memory is the system's; there is no pool that could run low"
_ONE_PROFILE: Final = "a lone profile is told from no others; what servers are asked for by is the XAVP's (xavp_cfg)"
_BUFFERS: Final = "sessions read from and write to memory, and OpenSSL sizes its own buffers"
_QUEUES: Final = "what waits for a handshake counts in tcp_conn_wq_max and tcp_wq_max"
_LEVELS: Final = "TLS is logged by `kahea.net` and `kahea.tls`, failures as warnings"
#: The key of a run's state.
_SERVER_ID: Final = "tls.server_id"
#: Certificate and key, where nothing else is said.
_CERTIFICATE: Final = "cert.pem"
_ENGINES: Final = "keys in hardware, through OpenSSL's engines"


def _client(value: str) -> str:
    if value:
        client_demands(value)
    return value


class Tls(Module):
    """SIP over TLS: certificates, demands on peers, and what scripts see of both."""

    name = "tls"
    events: ClassVar[Mapping[str, str]] = {
        CONNECTED: "When a connection was made to a peer (`$sndto(ip)`, `$sndto(port)`), before anything is sent on "
        "it: `drop` keeps all of it here and closes the connection. Kamailio 5.6.3 was never seen to run it."
    }

    config = Param("", "The file of profiles (tls.cfg), or a folder of such, instead of parameters.", runtime=True)
    tls_method = Param("TLSv1", "The protocol: TLSv1.2+ is 1.2 and newer, TLSv1.2 just that.", check=known_method)
    certificate = Param(_CERTIFICATE, "The file (PEM) with our certificate, and those of its authorities after it.")
    private_key = Param(_CERTIFICATE, "The file (PEM) with its key, not encrypted.")
    ca_list = Param("", "The file (PEM) of the authorities that peers' certificates are checked by.")
    ca_path = Param("", "A folder of such files, under the names that c_rehash gives them.")
    crl = Param("", "The file (PEM) of revoked certificates.")
    verify_certificate = Param(0, "1: a certificate that a peer has must be good.")
    require_certificate = Param(0, "1: a client must have one, with verify_certificate.")
    verify_client = Param("", "off, optional or on: the two above in one word.", check=_client)
    verify_depth = Param(9, "How many authorities may stand between a certificate and one that is trusted.")
    cipher_list = Param("", "The ciphers up to TLS 1.2, as OpenSSL names them; its default if empty.")
    session_cache = Param(0, "1: clients may resume their sessions.")
    renegotiation = Param(0, "1: peers may renegotiate (TLS 1.2).")
    connection_timeout = Param(600, "Seconds until a connection that is never used is closed; -1: never.", runtime=True)
    send_close_notify = Param(0, "1: tell the peer before a connection is closed.", runtime=True)
    xavp_cfg = Param("", "The XAVP whose `server_name` and `server_id` hold for connections that are made.")
    event_callback = Param("", "The script's function for events, in place of the event routes.")

    server_name = Param("", "A name for the one profile that the parameters make.", inert=_ONE_PROFILE)
    session_id = Param(
        "", "The name of the session cache.", inert="Python's ssl has one of its own, for this process alone"
    )
    tls_force_run = Param(0, "Start in spite of OpenSSL's version.", inert="nothing is refused for OpenSSL's version")
    tls_disable_compression = Param(1, "0: compress.", inert="OpenSSL compresses no more, since that gave secrets away")
    ssl_release_buffers = Param(1, "Give buffers back early.", inert=_BUFFERS)
    ssl_freelist_max_len = Param(0, "Buffers kept for later.", inert=_BUFFERS)
    ssl_max_send_fragment = Param(-1, "The most bytes in one record.", inert=_BUFFERS)
    ssl_read_ahead = Param(0, "Read as much as there is.", inert=_BUFFERS)
    con_ct_wq_max = Param(65536, "The most bytes that wait on one connection.", inert=_QUEUES)
    ct_wq_max = Param(10485760, "The most bytes that wait on all.", inert=_QUEUES)
    ct_wq_blk_size = Param(4096, "The size of a block of them.", inert=_QUEUES)
    tls_log = Param(3, "The level of messages about TLS.", inert=_LEVELS)
    tls_debug = Param(3, "The level of debugging messages about TLS.", inert=_LEVELS)
    low_mem_threshold1 = Param(-1, "Free memory below which there are no new connections.", inert=_MEMORY)
    low_mem_threshold2 = Param(-1, "Free memory below which connections fail.", inert=_MEMORY)
    rand_engine = Param("", "Where random numbers come from.", inert="OpenSSL's own generator serves one process well")
    engine = Param("NONE", "", check=unless("NONE", _ENGINES))
    engine_config = Param("", "", check=unless("", _ENGINES))
    engine_algorithms = Param("", "", check=unless("", _ENGINES))

    #: Of the next connection that is made for a request of our own, as its local route said.
    _local_server_id = ""
    _shared: TlsNode | None = None

    def start(self) -> None:
        """Read the certificates, and give them to the listeners."""
        if not self.node.settings.enable_tls:
            if self.node.asked_for(self.name):
                log.warning("module tls: TLS is off (enable_tls)")
            return
        listeners = [one for one in self.node.listeners if isinstance(one, TlsListener)]
        if not listeners:
            return
        self._shared = listeners[0].shared
        self._shared.choose = self.choose
        self._shared.approve = self.approve
        self._shared.profiles = self._profiles()
        old = {one.method for one in self._shared.profiles.all} & {"TLSv1", "TLSv1.1"}
        if old:
            log.warning("%s alone is what hardly any peer speaks; TLSv1.2+ is what most do", ", ".join(sorted(old)))
        self.changed("")

    def changed(self, name: str) -> None:
        """Parameters that hold at once; the file of profiles is read by `tls.reload`."""
        if self._shared is not None:
            self._shared.connection_timeout = self.connection_timeout
            self._shared.send_close_notify = bool(self.send_close_notify)

    # ---- profiles

    def _profiles(self) -> Profiles:
        """Raises ConfigError."""
        try:
            return Profiles(self._from_file() if self.config else list(self._from_parameters()))
        except ProfileError as error:
            raise ConfigError(f"module tls: {error}") from error

    def _read_aside(self) -> Profiles:
        """The profiles, read in a thread where that may wait: hundreds take longer than messages should."""
        if not can_wait():
            return self._profiles()
        found: Profiles = wait(asyncio.get_running_loop().run_in_executor(None, self._profiles))
        return found

    def _from_file(self) -> list[Profile]:
        """Raises ConfigError, ProfileError."""
        own = {"certificate": self._file(_CERTIFICATE), "private_key": self._file(_CERTIFICATE)}
        common = {"tickets": bool(self.session_cache), "renegotiation": bool(self.renegotiation)}
        found = read_profiles(Path(self._file(self.config)), common, own, self._file)
        bound = [one.address for one in self.node.listeners if isinstance(one, TlsListener)]
        for profile in found:
            if profile.server and profile.address is not None and profile.address not in bound:
                raise ProfileError(f"{profile.title}: nothing listens there")
        return found

    def _from_parameters(self) -> Iterator[Profile]:
        """Raises ProfileError."""
        verify, require = bool(self.verify_certificate), bool(self.require_certificate)
        if self.verify_client:
            verify, require = client_demands(self.verify_client)
        for server in (True, False):
            yield Profile(
                server=server,
                default=True,
                method=self.tls_method,
                certificate=self._file(self.certificate),
                private_key=self._file(self.private_key),
                ca_list=self._file(self.ca_list),
                ca_path=self._file(self.ca_path),
                crl=self._file(self.crl),
                verify=verify,
                require=require,
                verify_depth=self.verify_depth,
                cipher_list=self.cipher_list,
                tickets=bool(self.session_cache),
                renegotiation=bool(self.renegotiation),
            )

    def _file(self, name: str) -> str:
        """A path: relative to the working directory if it begins with a dot, else to the cfg's."""
        if not name or name.startswith("."):
            return str(Path(name).absolute()) if name else ""
        return str((self.node.configuration.directory / name).absolute())

    def choose(self, peer: Address) -> tuple[str, str]:
        """The server name and profile for a connection that a script's message opens."""
        run = current.run
        if run is not None and _SERVER_ID in run.state:
            server_id = str(run.state.pop(_SERVER_ID))
        else:
            server_id, self._local_server_id = self._local_server_id, ""
        item = lists_of(run.msg).xavps.find(self.xavp_cfg) if self.xavp_cfg and run is not None else None
        fields = item.fields if item is not None else None
        if fields is None:
            return "", server_id
        name, of_list = (str(fields.get(key) or "") for key in ("server_name", "server_id"))
        log.debug("connecting to %s as %r asks: name %r, profile %r", peer, self.xavp_cfg, name, of_list)
        return name, server_id or of_list

    def approve(self, connection: TlsConnection, data: bytes) -> bool:
        """Ask the script about a connection that was made."""
        if not self.event_callback and self.node.routes.event(CONNECTED) is None:
            return True
        msg = event_message()
        msg.facets["onsend"] = Sending(connection.listener, connection.peer, data)
        if self.event_callback:
            run = self.node.call_route(self.event_callback, CONNECTED, msg)
        else:
            run = self.node.run_event(CONNECTED, msg)
        return run is None or not run.drop

    # ---- what scripts have

    def variables(self) -> Iterator[Variable]:
        """Of the message's connection."""
        yield from super().variables()
        yield from variables()

    @native(routes=REQUEST_ROUTE)
    @function
    def is_peer_verified(self, run: Run) -> int:
        """1 if the message came over TLS from a peer with a certificate that was found good."""
        connection = connection_of(run)
        return 1 if connection is not None and verified(connection) else -1

    @native("str", name="tls_set_connect_server_id")
    @function
    def set_connect_server_id(self, run: Run, server_id: str) -> int:
        """The `server_id` of the profile for the next connection that this run of the script makes; "" for none. In
        event_route[tm:local-request], for the next that is made after it."""
        if run.kind == LOCAL_ROUTE:
            self._local_server_id = server_id
        else:
            run.state[_SERVER_ID] = server_id
        return 1

    @function
    def cget(self, run: Run, name: str) -> Value:
        """What `$tls_NAME` or `$tls(NAME)` has; null for another name."""
        connection = connection_of(run)
        ask = ASKED.get(name) or LINES.get(name)
        if ask is None:
            log.warning("tls.cget: there is no %r", name)
        return ask(connection) if ask is not None and connection is not None else None

    # ---- management

    @rpc("tls.reload")
    def rpc_reload(self) -> str:
        """Read the file of profiles anew. If anything is wrong, the old ones stay; connections keep what they have."""
        if self._shared is None:
            raise RpcError(500, "TLS is off: no listener has it")
        if not self.config:
            raise RpcError(500, "No TLS configuration file configured")
        try:
            self._shared.profiles = self._read_aside()
        except ConfigError as error:
            log.error("tls.reload: %s", error)
            raise RpcError(500, f"Error while loading TLS configuration file: {error}") from error
        log.info("tls.reload: %d profiles", len(self._shared.profiles.all))
        return "Ok. TLS configuration reloaded."

    @rpc("tls.list")
    def rpc_list(self) -> list[dict[str, object]]:
        """The TLS connections: `timeout` is the seconds until an idle one is closed."""
        return [_shown(one) for one in self._connections()]

    def _connections(self) -> list[TlsConnection]:
        for listener in self.node.listeners:
            if isinstance(listener, TlsListener):
                return [one for one in listener.table if isinstance(one, TlsConnection)]
        return []

    @rpc("tls.info")
    def rpc_info(self) -> dict[str, int]:
        """How many TLS connections there are and may be, and the bytes that wait for a handshake."""
        connections = self._connections()
        return {
            "max_connections": self.node.settings.tls_max_connections,
            "opened_connections": len(connections),
            "clear_text_write_queued_bytes": sum(one.queued for one in connections if one.connecting),
        }

    @rpc("tls.options")
    def rpc_options(self) -> Mapping[str, object]:
        """The parameters."""
        return {
            "force_run": self.tls_force_run,
            "method": self.tls_method,
            "verify_certificate": self.verify_certificate,
            "verify_depth": self.verify_depth,
            "require_certificate": self.require_certificate,
            "verify_client": self.verify_client or "off",
            "private_key": self._file(self.private_key),
            "ca_list": self._file(self.ca_list),
            "certificate": self._file(self.certificate),
            "cipher_list": self.cipher_list,
            "session_cache": self.session_cache,
            "session_id": self.session_id,
            "config": self._file(self.config),
            "log": self.tls_log,
            "debug": self.tls_debug,
            "connection_timeout": self.connection_timeout,
            "disable_compression": 1,
            "ssl_release_buffers": self.ssl_release_buffers,
            "ssl_freelist_max": self.ssl_freelist_max_len,
            "ssl_max_send_fragment": self.ssl_max_send_fragment,
            "ssl_read_ahead": self.ssl_read_ahead,
            "send_close_notify": self.send_close_notify,
            "low_mem_threshold1": self.low_mem_threshold1,
            "low_mem_threshold2": self.low_mem_threshold2,
            "ct_wq_max": self.ct_wq_max,
            "con_ct_wq_max": self.con_ct_wq_max,
            "ct_wq_blk_size": self.ct_wq_blk_size,
        }


def _shown(one: TlsConnection) -> dict[str, object]:
    return {
        "id": one.id,
        "timeout": one.timeout,
        "src_ip": one.peer.ip,
        "src_port": one.peer.port,
        "dst_ip": one.listener.address.ip,
        "dst_port": one.listener.address.port,
        "cipher": one.description or "unknown",
        "ct_wq_size": one.queued if one.connecting else 0,
        "enc_rd_buf": 0,
        "flags": 2 if one.is_open else 0,
        "state": "established" if one.is_open else "handshake" if one.stream is not None else "pre-init",
    }


MODULE = Tls

__all__ = ["MODULE", "Tls"]
