"""Chance, pauses, locks and switches for scripts (Kamailio's module cfgutils)."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import resource
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kahea.routing.locks import Locks
from kahea.routing.module import ConfigError, Module, Param, RpcError, Value, function, native, rpc, variable
from kahea.routing.pv.chain import narrow
from kahea.routing.pv.values import decimal
from kahea.routing.run import can_wait, wait
from kahea.routing.transformations.strings import core_hash

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

HIGHEST_FLAG = 31
SHOWN_TYPES = 20  # of objects, in the log


def _percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError("a probability is 0 to 100 percent")
    return value


def probability(node: Node, text: str) -> int:
    """A percentage. Raises ValueError."""
    number = decimal(text)
    if number is None:
        raise ValueError(f"{text!r} is no number")
    return _percent(number)


def flag_number(node: Node, text: str) -> int:
    """A global flag's number. Raises ValueError."""
    number = decimal(text)
    if number is None or not 0 <= number <= HIGHEST_FLAG:
        raise ValueError(f"{text!r} is no flag: 0 to {HIGHEST_FLAG}")
    return number


class Cfgutils(Module):
    """Chance, pauses, locks and switches for scripts."""

    name = "cfgutils"

    initial_probability = Param(10, "The probability of rand_event() at the start, in percent.", check=_percent)
    initial_gflags = Param(0, "The global flags that are set at the start, as a sum of their bits.")
    hash_file = Param("", "A file whose MD5 is kept at the start, for cfgutils.check_config_hash.")
    lock_set_size = Param(0, "Other than 0: lock() and its kin work. Each key has a lock of its own here.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.locks = Locks()
        self._random = random.Random()
        self._hash = ""
        self.probability = self.gflags = 0

    def start(self) -> None:
        """Take up the parameters, and hash the file."""
        self.probability = self.initial_probability
        self.gflags = self.initial_gflags & 0xFFFFFFFF
        if self.hash_file:
            try:
                self._hash = self._hashed()
            except OSError as error:
                raise ConfigError(f"parameter cfgutils.hash_file: {error}") from error

    def _hashed(self) -> str:
        return hashlib.md5(Path(self.hash_file).read_bytes(), usedforsecurity=False).hexdigest()

    # ---- chance

    @function
    @native()
    def rand_event(self, run: Run) -> int:
        """1 with the probability in force, else -1."""
        return 1 if self._random.random() * 100 < self.probability else -1

    @native(probability, name="rand_set_prob")
    def set_probability(self, run: Run, percent: int) -> int:
        """Set the probability of rand_event()."""
        self.probability = percent
        return 1

    @function
    def rand_set_prob(self, run: Run, percent: int) -> int:
        """Set the probability of rand_event(), in percent; -1 for what is none."""
        if not 0 <= percent <= 100:
            self.node.log.error("rand_set_prob: %d is not between 0 and 100", percent)
            return -1
        self.probability = percent
        return 1

    @function
    @native()
    def rand_reset_prob(self, run: Run) -> int:
        """Set the probability to its initial value."""
        self.probability = self.initial_probability
        return 1

    @function
    @native()
    def rand_get_prob(self, run: Run) -> int:
        """The probability in percent; in the native language, 0 of them ends the route."""
        return self.probability

    @variable("RANDOM")
    def random_number(self, run: Run, name: str, index: object) -> Value:
        """A number from 0 up to 2147483647."""
        return self._random.getrandbits(31)

    # ---- pauses

    def _pause(self, seconds: float) -> int:
        if seconds > 0:
            if not can_wait():
                self.node.log.error("sleep: this can't wait here")
                return -1
            wait(asyncio.sleep(seconds))
        return 1

    @function
    @native("int")
    def sleep(self, run: Run, seconds: int) -> int:
        """Let this run wait for so many seconds; all others go on."""
        return self._pause(seconds)

    @function
    @native("int")
    def usleep(self, run: Run, microseconds: int) -> int:
        """Let this run wait for so many millionths of a second; all others go on."""
        return self._pause(microseconds / 1e6)

    # ---- locks

    def _lockable(self, key: str) -> bool:
        if not self.lock_set_size:
            self.node.log.error("lock %r: there are no locks without the parameter lock_set_size", key)
        return bool(self.lock_set_size)

    def _lock(self, run: Run, key: str, second: str) -> int:
        return 1 if self._lockable(key) and self.locks.take(run, (key, second)) else -1

    def _trylock(self, run: Run, key: str, second: str) -> int:
        return 1 if self._lockable(key) and self.locks.take_now(run, (key, second)) else -1

    def _unlock(self, key: str, second: str) -> int:
        if not self._lockable(key):
            return -1
        self.locks.release((key, second))
        return 1

    @function
    @native("str")
    def lock(self, run: Run, key: str) -> int:
        """Take the lock of a key, waiting until it is free; -1 if this run has it already."""
        return self._lock(run, key, "")

    @function
    @native("str", "str", name="lock")
    def lock_key2(self, run: Run, key: str, second: str) -> int:
        """As `lock`, with a key of two parts."""
        return self._lock(run, key, second)

    @function
    @native("str")
    def trylock(self, run: Run, key: str) -> int:
        """Take the lock of a key; -1 if it is taken."""
        return self._trylock(run, key, "")

    @function
    @native("str", "str", name="trylock")
    def trylock_key2(self, run: Run, key: str, second: str) -> int:
        """As `trylock`, with a key of two parts."""
        return self._trylock(run, key, second)

    @function
    @native("str")
    def unlock(self, run: Run, key: str) -> int:
        """Let go of the lock of a key, whoever has it; 1 also if it is free."""
        return self._unlock(key, "")

    @function
    @native("str", "str", name="unlock")
    def unlock_key2(self, run: Run, key: str, second: str) -> int:
        """As `unlock`, with a key of two parts."""
        return self._unlock(key, second)

    # ---- global flags

    @native(flag_number)
    def set_gflag(self, run: Run, flag: int) -> int:
        """Set a global flag."""
        self.gflags |= 1 << flag
        return 1

    @native(flag_number)
    def reset_gflag(self, run: Run, flag: int) -> int:
        """Clear a global flag."""
        self.gflags &= ~(1 << flag)
        return 1

    @native(flag_number)
    def is_gflag(self, run: Run, flag: int) -> int:
        """Whether a global flag is set."""
        return 1 if self.gflags >> flag & 1 else -1

    # ---- routes

    @function
    @native("str")
    def check_route_exists(self, run: Run, name: str) -> int:
        """Whether the script has a route of that name."""
        return -1 if run.generation.find(name) is None else 1

    @function
    def route_if_exists(self, run: Run, name: str) -> int:
        """Run a route if the script has it: what it returned, 1 if that is no number; -1 if there is none."""
        route = run.generation.find(name)
        code = -1 if route is None else route(run)
        return code if isinstance(code, int) else 1

    @native("str", name="route_if_exists")
    def run_if_exists(self, run: Run, name: str) -> int:
        """Run a route if the cfg has it: its code, 0 where it ended the script; -1 if there is none."""
        route = run.generation.find(name)
        code = -1 if route is None else route(run)
        return code if isinstance(code, int) else 0

    # ---- the rest

    @function
    @native("str", "str", "int")
    def core_hash(self, run: Run, text: str, second: str, size: int) -> int:
        """The hash that Kamailio's tables use, of two texts, cut to so many bits, and 1 added."""
        bits = min(max(size, 1), 31)
        return (core_hash(narrow(text), narrow(second)) & ((1 << bits) - 1)) + 1

    @function
    @native()
    def abort(self, run: Run) -> int:
        """End the server at once, with a core dump where the system makes them: for debugging."""
        self.node.log.critical("the script asked to abort the server")
        self.node.abort()
        return 1

    @function
    @native()
    def pkg_status(self, run: Run) -> int:
        """Write the server's memory to the log, and what kinds of objects it has most of."""
        return self._memory("pkg_status", types=True)

    @function
    @native()
    def pkg_summary(self, run: Run) -> int:
        """Write the server's memory to the log."""
        return self._memory("pkg_summary", types=False)

    @function
    @native()
    def shm_status(self, run: Run) -> int:
        """As `pkg_status`: there is one memory here."""
        return self._memory("shm_status", types=True)

    @function
    @native()
    def shm_summary(self, run: Run) -> int:
        """As `pkg_summary`: there is one memory here."""
        return self._memory("shm_summary", types=False)

    def _memory(self, name: str, *, types: bool) -> int:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        blocks = sys.getallocatedblocks()
        self.node.log.info("%s: %d blocks are allocated; the process had %d kB at the most", name, blocks, most)
        if types:
            counted = Counter(type(each).__qualname__ for each in gc.get_objects())
            for kind, count in counted.most_common(SHOWN_TYPES):
                self.node.log.info("%s: %d of %s", name, count, kind)
        return 1

    # ---- RPC

    @rpc("cfgutils.rand_set_prob")
    def rpc_rand_set_prob(self, percent: int | str) -> None:
        """Set the probability of rand_event(), in percent."""
        number = _number(percent)
        if not 0 <= number <= 100:
            raise RpcError(500, "Invalid Percent")
        self.probability = number

    @rpc("cfgutils.rand_reset_prob")
    def rpc_rand_reset_prob(self) -> None:
        """Set the probability to its initial value."""
        self.probability = self.initial_probability

    @rpc("cfgutils.rand_get_prob")
    def rpc_rand_get_prob(self) -> str:
        """The probability in force."""
        return f"actual probability: {self.probability} percent"

    @rpc("cfgutils.set_gflag")
    def rpc_set_gflag(self, bits: int | str) -> None:
        """Set global flags, given as a sum of their bits."""
        self.gflags |= _number(bits) & 0xFFFFFFFF

    @rpc("cfgutils.reset_gflag")
    def rpc_reset_gflag(self, bits: int | str) -> None:
        """Clear global flags, given as a sum of their bits."""
        self.gflags &= ~_number(bits)

    @rpc("cfgutils.is_gflag")
    def rpc_is_gflag(self, bits: int | str) -> str:
        """Whether all of these global flags, a sum of their bits, are set: TRUE or FALSE."""
        wanted = _number(bits) & 0xFFFFFFFF
        return "TRUE" if self.gflags & wanted == wanted else "FALSE"

    @rpc("cfgutils.get_gflags")
    def rpc_get_gflags(self) -> str:
        """The global flags as a sum of their bits, hexadecimal and decimal."""
        return f"{self.gflags:#x} ({self.gflags})"

    @rpc("cfgutils.check_config_hash")
    def rpc_check_config_hash(self) -> str:
        """Whether the file is still what it was at the start."""
        if not self.hash_file:
            raise RpcError(500, "No hash file")
        try:
            same = self._hashed() == self._hash
        except OSError as error:
            raise RpcError(500, "Failed to hash the file") from error
        return "Identical hash" if same else "Different hash"

    @rpc("cfgutils.get_config_hash")
    def rpc_get_config_hash(self) -> str:
        """The MD5 of the file at the start; empty without a file."""
        return self._hash


def _number(given: int | str | Any) -> int:
    number = given if isinstance(given, int) else decimal(str(given))
    if number is None:
        raise RpcError(500, "Invalid Parameters")
    return number


MODULE = Cfgutils
