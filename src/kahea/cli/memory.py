"""What of its memory the process gives back to the system, and when.

The C library keeps what was freed for what comes next, and gives back only what lies at the end of its heap, so one
small block there keeps hundreds of MiB of a flood that is long over. Two things are done about that:

- Large blocks are no part of the heap from the start (`M_MMAP_THRESHOLD`). By default the library raises that size as
  it sees blocks come and go, and the tables of the transactions, which grow to some MiB, tear holes into the heap.
- When the node is quiet after a flood, all that is free is given back (`malloc_trim`). That takes about 1 ms for each
  MiB, in which nothing else is done: a busy node keeps its memory for the next flood.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

log = logging.getLogger("kahea.memory")

#: Bytes from which a block is mapped for itself.
LARGE: Final = 128 << 10
#: Seconds between two looks at the memory.
INTERVAL: Final = 30.0
#: Bytes that have to be free, and in the process since it last gave back, for it to be worth while.
LEAST: Final = 16 << 20
#: Transactions with which a node is still quiet.
QUIET: Final = 100

_M_MMAP_THRESHOLD: Final = -3  # malloc.h
_RESIDENT: Final = 1  # its place in statm


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


class Memory(Protocol):
    """What `Trimmer` asks and does."""

    def free(self) -> int:
        """Bytes of the heap that are not used, be they in the process or given back."""

    def resident(self) -> int:
        """Bytes that the process has."""

    def give_back(self) -> None:
        """Give the system all whole pages that are free."""


class Heap:
    """The C library's. Raises OSError where it is not glibc 2.33 or later."""

    def __init__(self) -> None:
        library = ctypes.PyDLL(None)
        try:
            self._info, self._trim, self._option = library.mallinfo2, library.malloc_trim, library.mallopt
        except AttributeError as error:
            raise OSError(str(error)) from error
        self._info.restype = _Mallinfo2
        self._statm = Path("/proc/self/statm")

    def map_large(self) -> None:
        """Keep large blocks out of the heap."""
        self._option(_M_MMAP_THRESHOLD, LARGE)

    def free(self) -> int:
        """See `Memory`."""
        return int(self._info().fordblks)

    def used(self) -> int:
        """Bytes of the heap that are used."""
        return int(self._info().uordblks)

    def resident(self) -> int:
        """See `Memory`."""
        return int(self._statm.read_text().split()[_RESIDENT]) * mmap.PAGESIZE

    def give_back(self) -> None:
        """See `Memory`."""
        self._trim(ctypes.c_size_t(0))


class Trimmer:
    """Looks at the memory each `INTERVAL` seconds: `later(seconds, callback)` calls it, `busy()` says how many
    transactions there are."""

    def __init__(
        self, memory: Memory, later: Callable[[float, Callable[[], None]], object], busy: Callable[[], int]
    ) -> None:
        self._memory = memory
        self._later = later
        self._busy = busy
        self._least = memory.resident()  # when it last gave back, or began

    def start(self) -> None:
        """Begin to look."""
        self._later(INTERVAL, self._look)

    def _look(self) -> None:
        self._later(INTERVAL, self._look)
        before = self._memory.resident()
        if self._busy() > QUIET or before - self._least < LEAST or self._memory.free() < LEAST:
            return
        self._memory.give_back()
        self._least = self._memory.resident()
        log.info("%d MiB of memory are given back, %d MiB are left", before - self._least >> 20, self._least >> 20)


def spare(later: Callable[[float, Callable[[], None]], object], busy: Callable[[], int]) -> None:
    """Do both from now on, if this C library can."""
    try:
        heap = Heap()
        heap.map_large()
        Trimmer(heap, later, busy).start()
    except OSError as error:
        log.debug("memory that was freed stays with the process: %s", error)


__all__ = ["INTERVAL", "LEAST", "QUIET", "Heap", "Memory", "Trimmer", "spare"]
