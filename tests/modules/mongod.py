"""A small MongoDB for tests, since Debian has none: its wire protocol, documents in memory, what it was asked.

It knows the commands that the tests need, and equality and a few operators in filters.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

bson = pytest.importorskip("bson", reason="needs pymongo")

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013

#: What drivers add to commands of their own accord.
_ADDED = ("lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS", "apiVersion")
_SILENT = ("hello", "ismaster", "isMaster", "endSessions", "killCursors", "buildInfo")

_OPERATORS = {
    "$gt": lambda a, b: a is not None and a > b,
    "$lt": lambda a, b: a is not None and a < b,
    "$ne": lambda a, b: a != b,
    "$in": lambda a, b: a in b,
    "$exists": lambda a, b: (a is not None) == bool(b),
}


class Failure(Exception):
    """What the server answers to a command that it can't do."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.answer = {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


def matches(document: dict[str, Any], wanted: dict[str, Any]) -> bool:
    for key, value in wanted.items():
        have = document.get(key)
        if isinstance(value, dict) and value and all(name.startswith("$") for name in value):
            for name, operand in value.items():
                if name not in _OPERATORS:
                    raise Failure(2, "BadValue", f"unknown operator: {name}")
                if not _OPERATORS[name](have, operand):
                    return False
        elif have != value:
            return False
    return True


class _Handler(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        self.server.mongod.connections.add(self.request)
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._one()
        self.server.mongod.connections.discard(self.request)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.request.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _one(self) -> None:
        length, number, _, kind = struct.unpack("<iiii", self._exactly(16))
        data = self._exactly(length - 16)
        mongod = self.server.mongod
        if kind == OP_QUERY:
            end = data.index(b"\0", 4)
            command = bson.decode(data[end + 9 :])
            if "$query" in command:
                command = command["$query"]
            command["$db"] = data[4:end].decode().partition(".")[0]
            answer = bson.encode(mongod.answer(command))
            head = struct.pack("<iqii", 8, 0, 0, 1)
            self._send(OP_REPLY, number, head + answer)
        else:
            assert kind == OP_MSG, kind
            flags = struct.unpack_from("<I", data)[0]
            answer = bson.encode(mongod.answer(self._sections(data[4 : -4 if flags & 1 else None])))
            if not flags & 2:  # more to come: no answer wanted
                self._send(OP_MSG, number, struct.pack("<Ib", 0, 0) + answer)

    @staticmethod
    def _sections(data: bytes) -> dict[str, Any]:
        command: dict[str, Any] = {}
        at = 0
        while at < len(data):
            (size,) = struct.unpack_from("<i", data, at + 1)
            section = data[at + 1 : at + 1 + size]
            if data[at] == 0:
                command = {**bson.decode(section), **command}
            else:
                end = section.index(b"\0", 4)
                command[section[4:end].decode()] = bson.decode_all(section[end + 1 :])
            at += 1 + size
        return command

    def _send(self, kind: int, to: int, data: bytes) -> None:
        self.request.sendall(struct.pack("<iiii", 16 + len(data), 1, to, kind) + data)


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    mongod: Mongod


class Mongod:
    """A server on a port of its own; `asked` has the commands in order, each with its database's name first."""

    def __init__(self) -> None:
        self.collections: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.connections: set[socket.socket] = set()
        self.delay = 0.0
        self._cursors: dict[int, tuple[str, list[dict[str, Any]]]] = {}
        self._numbers = count(1000)
        self._lock = threading.Lock()
        self._listener: _Listener | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, again on the same port if it was killed."""
        self._listener = _Listener(("127.0.0.1", self.port), _Handler)
        self._listener.mongod = self
        self.port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self) -> None:
        """Close everything."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """The answer to a command."""
        name = next(iter(command))
        database = command["$db"]
        if name not in _SILENT:
            with self._lock:
                self.asked.append((database, {k: v for k, v in command.items() if k not in _ADDED}))
            time.sleep(self.delay)
        do = getattr(self, f"_do_{name.lower()}", None)
        try:
            if do is None:
                raise Failure(59, "CommandNotFound", f"no such command: '{name}'")
            with self._lock:
                return {**do(database, command), "ok": 1.0}
        except Failure as failure:
            return failure.answer

    # ---- commands

    def _do_hello(self, _database: str, _command: dict[str, Any]) -> dict[str, Any]:
        return {
            "ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": 16 << 20,
            "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": 17,
            "logicalSessionTimeoutMinutes": 30, "connectionId": 1, "readOnly": False,
        }  # fmt: skip

    _do_ismaster = _do_hello

    def _do_ping(self, _database: str, _command: dict[str, Any]) -> dict[str, Any]:
        return {}

    _do_endsessions = _do_killcursors = _do_ping

    def _do_collstats(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        name = command["collStats"]
        return {"ns": f"{database}.{name}", "count": len(self.collections[database, name]), "avgObjSize": 12.5}

    def _do_count(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        found = self.collections[database, command["count"]]
        return {"n": sum(matches(each, command.get("query", {})) for each in found)}

    def _do_find(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        name = command["find"]
        found = [each for each in self.collections[database, name] if matches(each, command.get("filter", {}))]
        found = found[: command.get("limit") or None]
        return self._cursor(f"{database}.{name}", found, command.get("batchSize", 101), command.get("singleBatch"))

    def _do_aggregate(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        name = command["aggregate"]
        found = list(self.collections[database, name])
        for stage in command["pipeline"]:
            if list(stage) != ["$match"]:
                raise Failure(40324, "Location40324", f"Unrecognized pipeline stage name: '{next(iter(stage), '')}'")
            found = [each for each in found if matches(each, stage["$match"])]
        return self._cursor(f"{database}.{name}", found, command.get("cursor", {}).get("batchSize", 101), False)

    def _cursor(self, namespace: str, found: list[dict[str, Any]], size: int, single: bool | None) -> dict[str, Any]:
        first, rest, number = found[:size], found[size:], 0
        if rest and not single:
            number = next(self._numbers)
            self._cursors[number] = namespace, rest
        return {"cursor": {"firstBatch": first, "id": bson.Int64(number), "ns": namespace}}

    def _do_getmore(self, _database: str, command: dict[str, Any]) -> dict[str, Any]:
        number = command["getMore"]
        if number not in self._cursors:
            raise Failure(43, "CursorNotFound", f"cursor id {number} not found")
        namespace, rest = self._cursors.pop(number)
        size = command.get("batchSize", 101)
        if rest[size:]:
            self._cursors[number] = namespace, rest[size:]
        kept = bson.Int64(number if rest[size:] else 0)
        return {"cursor": {"nextBatch": rest[:size], "id": kept, "ns": namespace}}

    def _do_insert(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        self.collections[database, command["insert"]] += command["documents"]
        return {"n": len(command["documents"])}

    def _do_update(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        changed = 0
        for update in command["updates"]:
            for each in self.collections[database, command["update"]]:
                if matches(each, update["q"]) and (update.get("multi") or not changed):
                    each.update(update["u"]["$set"])
                    changed += 1
        return {"n": changed, "nModified": changed}

    def _do_delete(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        kept = self.collections[database, command["delete"]]
        before = len(kept)
        for delete in command["deletes"]:
            kept[:] = [each for each in kept if not matches(each, delete["q"])]
        return {"n": before - len(kept)}


@contextlib.contextmanager
def running_mongod() -> Iterator[Mongod]:
    """A server for as long as it is wanted."""
    made = Mongod()
    try:
        yield made
    finally:
        made.kill()
