"""`kahea ctl`: the client of a running node's control socket. It speaks JSON-RPC, a document on each line.

The exit code is 0 for an answer, 1 for a fault, 2 for a wrong command line, 3 where no node answers.
"""

from __future__ import annotations

import difflib
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kahea.admin.control import directories, sockets
from kahea.cli.tables import shown
from kahea.net.service import parse_service

FAULT: Final = 1
NO_NODE: Final = 3

Given = int | float | str


class NoNodeError(Exception):
    """No node can be asked; the text says why, and what to do."""


class FaultError(Exception):
    """What a node answered in place of a result."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def value_of(word: str) -> Given:
    """A parameter as `kamcmd` reads it: a number, or text; `s:` before a number makes it text."""
    kind, colon, rest = word.partition(":")
    if colon and kind == "s":
        return rest
    if re.fullmatch(r"-?[0-9]{1,18}", word):
        return int(word)
    if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", word):
        return float(word)
    return word


class Client:
    """A connection to one node. Raises NoNodeError where that fails."""

    def __init__(self, where: str, timeout: float) -> None:
        self._where = where
        self._timeout = timeout
        try:
            address = parse_service(where)
        except ValueError as error:
            raise NoNodeError(str(error)) from error
        if address.datagram:
            raise NoNodeError(f"{where}: a Unix socket or tcp:host:port is wanted")
        try:
            if address.path:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.settimeout(timeout)
                self._socket.connect(address.path)
            else:
                self._socket = socket.create_connection((address.host or "127.0.0.1", address.port), timeout)
        except OSError as error:
            raise NoNodeError(f"{where}: {error.strerror or error}") from error
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def call(self, command: str, *parameters: Given) -> Any:
        """What a command answers. Raises FaultError and NoNodeError."""
        document = {"jsonrpc": "2.0", "method": command, "params": parameters, "id": 1}
        try:
            self._socket.sendall(json.dumps(document).encode("utf-8", "surrogateescape") + b"\n")
            line = self._lines.readline()
        except TimeoutError as error:
            raise NoNodeError(f"{self._where}: no answer in {self._timeout:g} s") from error
        except OSError as error:
            raise NoNodeError(f"{self._where}: {error.strerror}") from error
        try:
            answer = json.loads(line.decode("utf-8", "surrogateescape"))
        except ValueError:
            raise NoNodeError(f"{self._where}: what answers there is no control socket of a node") from None
        if "error" in answer:
            raise FaultError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a command line asks for. `where` "" is the one node that runs here."""

    command: str
    words: tuple[str, ...] = ()
    where: str = ""
    as_json: bool = False
    timeout: float = 10.0

    @property
    def full(self) -> str:
        """The command's name: one without a dot is Kahea's own, `reload` being `kahea.reload`."""
        return self.command if "." in self.command else f"kahea.{self.command}"


def find(timeout: float) -> str:
    """The control socket of the only node that runs here. Raises NoNodeError, which lists them if there are several."""
    found = sockets()
    if len(found) == 1:
        return str(found[0])
    if not found:
        places = ", ".join(map(str, directories()))
        raise NoNodeError(
            f"no node runs here, or none that you may manage (looked in {places}); name its socket by -s PATH"
        )
    lines = [f"  -s {path}  {_describe(path, timeout)}" for path in found]
    raise NoNodeError("several nodes run here; name one:\n" + "\n".join(lines))


def _describe(path: Path, timeout: float) -> str:
    """A node in a few words: its listeners and command line."""
    try:
        with Client(str(path), timeout) as client:
            listeners = ["{proto}:{address}:{port}".format(**one["socket"]) for one in client.call("core.sockets_list")]
            return f"{' '.join(listeners)}  {' '.join(client.call('core.arg')[1:])}"
    except (NoNodeError, FaultError) as error:
        return f"({error})"


def run(request: Request) -> tuple[int, str, str]:
    """Ask a node: the exit code, and what goes to stdout and to stderr."""
    try:
        where = request.where or find(request.timeout)
        with Client(where, request.timeout) as client:
            try:
                result = client.call(request.full, *map(value_of, request.words))
            except FaultError as fault:
                return FAULT, *_fault(client, request, fault)
    except NoNodeError as error:
        return NO_NODE, "", f"kahea ctl: {error}"
    return 0, json.dumps(result, indent=2, ensure_ascii=False) if request.as_json else shown(result), ""


def _fault(client: Client, request: Request, fault: FaultError) -> tuple[str, str]:
    """A fault for stdout, if that is read by a program, and for people."""
    hint = ""
    if str(fault) == "Method Not Found":
        near = difflib.get_close_matches(request.command, client.call("system.listMethods"), 3, 0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `kahea ctl --list` has all commands"
        text = f"there is no command {request.command!r}{hint}"
    else:
        text = f"{fault.code} {fault}"
        if fault.code == 400:
            text += _usage(client, request.full)
    error = {"error": {"code": fault.code, "message": str(fault)}}
    return json.dumps(error, indent=2, ensure_ascii=False) if request.as_json else "", f"kahea ctl: {text}"


def _usage(client: Client, command: str) -> str:
    """How a command is called, for one that was called wrongly."""
    try:
        known = {one["name"]: one for one in client.call("kahea.commands")}
    except FaultError:
        return ""
    one = known.get(command)
    return f"\nusage: kahea ctl {command} {one['parameters']}".rstrip() if one else ""


def listing(where: str, prefix: str, *, as_json: bool, timeout: float) -> tuple[int, str, str]:
    """`kahea ctl --list`: the commands whose names begin so, with their parameters and meanings."""
    try:
        with Client(where or find(timeout), timeout) as client:
            commands = [one for one in client.call("kahea.commands") if one["name"].startswith(prefix)]
    except NoNodeError as error:
        return NO_NODE, "", f"kahea ctl: {error}"
    except FaultError as error:
        return FAULT, "", f"kahea ctl: {error}"
    if as_json:
        return 0, json.dumps(commands, indent=2, ensure_ascii=False), ""
    width = max((len(f"{one['name']} {one['parameters']}") for one in commands), default=0)
    width = min(width, 48)
    return 0, "\n".join(f"{one['name']} {one['parameters']}".ljust(width) + f"  {one['help']}" for one in commands), ""
