"""The same byte streams into Kamailio over TCP and into the framer: the same messages, pongs and closes.

Where they differ on purpose, `KNOWN` says why.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ending import end
from tests.ports import free_port

from kahea.net.framer import Framer, FramingError, Keepalive

KAMAILIO = shutil.which("kamailio")
pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")

HEADERS = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP host.invalid;branch=z9hG4bKa\r\n"
    b"From: <sip:b@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
)


def message(length: bytes = b"Content-Length: 0\r\n", body: bytes = b"") -> bytes:
    return HEADERS + length + b"\r\n" + body


STREAMS = {
    "one": message(),
    "two": message() * 2,
    "one and a half": message() + message()[:60],
    "body": message(b"Content-Length: 5\r\n", b"hello") + message(),
    "compact": message(b"l: 3\r\n", b"abc") * 2,
    "space before colon": message(b"Content-Length \t: 3\r\n", b"abc") * 2,
    "spaces around the value": message(b"Content-Length:  \t3  \r\n", b"abc") * 2,
    "any case": message(b"CONTENT-length: 3\r\n", b"abc") * 2,
    "lf only": message(b"l: 3\r\n").replace(b"\r\n", b"\n") + b"abc" + message(),
    "ping": b"\r\n\r\n",
    "two pings": b"\r\n\r\n\r\n\r\n",
    "half a ping": b"\r\n",
    "a ping and a half": b"\r\n\r\n\r\n",
    "ping between messages": message() + b"\r\n\r\n" + message(),
    "empty line before a message": b"\r\n" + message(),
    "no length": message(b""),
    "length that is no number": message(b"Content-Length: x\r\n"),
    "negative length": message(b"Content-Length: -1\r\n"),
    "message, then none to be framed": message() + message(b""),
    "a header like the length": message(b"X-Content-Length: 9\r\nContent-Length-X: 9\r\nl: 0\r\n") * 2,
    "folded length": message(b"Content-Length:\r\n 0\r\n"),
}
KNOWN = {"folded length": "Kamailio refuses what RFC 3261 §7.3.1 allows"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Kamailio, which answers each request that it takes; its TCP port."""
    home: Path = tmp_path_factory.mktemp("kamailio")
    number = free_port()
    config = home / "kamailio.cfg"
    config.write_text(
        f'loadmodule "sl.so"\nlisten=tcp:127.0.0.1:{number}\nchildren=1\ntcp_children=1\n'
        'request_route { sl_send_reply("200", "OK"); }\n'
    )
    assert KAMAILIO is not None
    command = [KAMAILIO, "-f", str(config), "-DD", "-E", "-x", "fm", "-m", "64"]
    command += ["-Y", str(home), "-w", str(home)]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            asyncio.run(listening(number, process))
            yield number
        finally:
            end(process)


async def listening(port: int, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(10):
        while process.poll() is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
    pytest.fail("kamailio ended at once")


async def kamailio(port: int, stream: bytes) -> tuple[int, int, bool]:
    """What it made of a stream: replies, pongs, and whether it closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(stream)
    data, closed = b"", False
    try:
        while True:
            # It keeps a connection for two minutes, but says what it has to say at once.
            async with asyncio.timeout(0.4):
                more = await reader.read(65536)
            if not more:
                closed = True
                break
            data += more
    except TimeoutError:
        pass
    except ConnectionResetError:
        closed = True
    writer.close()
    replies = data.count(b"SIP/2.0 200")
    for reply in data.split(b"SIP/2.0 200")[1:]:
        data = data.replace(b"SIP/2.0 200" + reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", b"", 1)
    return replies, data.count(b"\r\n"), closed


def ours(stream: bytes) -> tuple[int, int, bool]:
    events = Framer().feed(stream)
    return (
        sum(isinstance(event, bytes) for event in events),
        events.count(Keepalive.PING),
        any(isinstance(event, FramingError) for event in events),
    )


def test_the_same_as_kamailio(port: int) -> None:
    async def all_at_once() -> list[tuple[int, int, bool]]:
        return await asyncio.gather(*(kamailio(port, stream) for stream in STREAMS.values()))

    theirs = dict(zip(STREAMS, asyncio.run(all_at_once()), strict=True))
    differ = {name for name, stream in STREAMS.items() if ours(stream) != theirs[name]}
    assert differ == set(KNOWN), {name: (ours(STREAMS[name]), theirs[name]) for name in differ}
