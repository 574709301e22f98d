"""What memory the process has, under the names of Kamailio's shared memory: there is no pool that processes share."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final


def resident() -> int:
    """Bytes of memory that this process has; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


#: Bytes, each with what it is.
MEMORY: Final[dict[str, tuple[Callable[[], int], str]]] = {
    "total_size": (lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "The machine's memory."),
    "free_size": (lambda: os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "The machine's free memory."),
    "used_size": (resident, "The process's memory."),
    "real_used_size": (resident, "The process's memory."),
    "max_used_size": (lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "The most it ever had."),
    "fragments": (sys.getallocatedblocks, "Blocks that Python has allocated."),
}

#: What commands about Kamailio's pools of memory answer, which do not exist here.
NO_POOLS: Final = "there are no pools of memory, shared or private: it is the process's own (core.shmmem tells of it)"

__all__ = ["MEMORY", "NO_POOLS", "resident"]
