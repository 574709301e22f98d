"""What a server costs: CPU time and memory of a process and all its descendants, read from /proc."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
#: Fields of /proc/PID/stat behind the name: user and system time, in ticks.
UTIME, STIME = 11, 12


def tree(root: int) -> list[int]:
    """The process and its descendants (Kamailio's workers are children of the first process)."""
    parents: dict[int, int] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_bytes()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[stat.rindex(b")") + 2 :].split()[1])
    found, grew = {root}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return sorted(pid for pid in found if pid in parents)


def cpu_us(root: int) -> float:
    """CPU time used so far in microseconds, by the scheduler's own nanosecond count."""
    total = 0
    for pid in tree(root):
        for path in (PROC / str(pid) / "task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except (OSError, IndexError):
                continue
    return total / 1000


def kernel_share(root: int, before: tuple[int, int] = (0, 0)) -> float:
    """The kernel's part of the CPU time since `before` (see `ticks`), from 0 to 1."""
    user, system = (now - then for now, then in zip(ticks(root), before, strict=True))
    return system / (user + system) if user + system else 0.0


def ticks(root: int) -> tuple[int, int]:
    """CPU time so far, in ticks of the kernel: of the program, and of the kernel on its behalf."""
    user = system = 0
    for pid in tree(root):
        try:
            stat = (PROC / str(pid) / "stat").read_bytes()
        except OSError:
            continue
        words = stat[stat.rindex(b")") + 2 :].split()
        user += int(words[UTIME])
        system += int(words[STIME])
    return user, system


def memory_kib(root: int) -> int:
    """Memory in KiB: pages shared between the processes count once (PSS)."""
    total = 0
    for pid in tree(root):
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total


def udp_ports() -> dict[int, int]:
    """Bound UDP ports of this host, each with the datagrams that its socket has dropped."""
    found: dict[int, int] = {}
    for line in (PROC / "net/udp").read_text().splitlines()[1:]:
        words = line.split()
        port = int(words[1].rsplit(":", 1)[1], 16)
        found[port] = found.get(port, 0) + int(words[-1])
    return found
