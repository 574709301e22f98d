"""What addresses the host has, and hearing of changes: in a network namespace, where they may be changed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys

import pytest

from kahea.net.host_addresses import AddressWatch, host_addresses

SCRIPT = """
import asyncio
from kahea.net.host_addresses import AddressWatch, host_addresses

async def main():
    heard = asyncio.Queue()
    watch = AddressWatch(heard.put_nowait)
    watch.open(asyncio.get_running_loop())
    print(sorted(await heard.get()))
    for change, address in (("add", "198.51.100.7/32"), ("add", "2001:db8::7/128"), ("del", "198.51.100.7/32")):
        ip = await asyncio.create_subprocess_exec("ip", "addr", change, address, "dev", "lo")
        await ip.wait()
        async with asyncio.timeout(10):
            while (got := await heard.get()) != host_addresses():
                pass
        print(sorted(got))
    watch.close()
    watch.close()
    ip = await asyncio.create_subprocess_exec("ip", "addr", "add", "198.51.100.8/32", "dev", "lo")
    await ip.wait()
    await asyncio.sleep(0)
    print(heard.qsize())

asyncio.run(main())
"""


def test_changes() -> None:
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip")
    script = 'ip link set lo up && exec "$0" -c "$1"'
    command = ["unshare", "-n", "sh", "-c", script, sys.executable, SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("may not make a network namespace")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['127.0.0.1', '::1']",
        "['127.0.0.1', '198.51.100.7', '::1']",
        "['127.0.0.1', '198.51.100.7', '2001:db8::7', '::1']",
        "['127.0.0.1', '2001:db8::7', '::1']",
        "0",
    ]


def test_at_first() -> None:
    async def opened() -> list[frozenset[str]]:
        heard: list[frozenset[str]] = []
        watch = AddressWatch(heard.append)
        watch.open(asyncio.get_running_loop())
        watch.close()
        return heard

    assert asyncio.run(opened()) == [host_addresses()]
    assert "127.0.0.1" in host_addresses()
