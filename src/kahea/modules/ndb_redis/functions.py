"""The functions and variables of scripts: `redis_cmd` and its kin, `$redis`, `$redisd`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kahea.connectors.redis import ErrorReply, Status
from kahea.modules.ndb_redis.servers import MAX_KEPT, Servers, asked_by
from kahea.routing.module import Value, Variable, function, native, variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.connectors.redis import Command, Reply
    from kahea.routing.pv.table import Index
    from kahea.routing.run import Run

DISABLED: Final = -2
FAILED: Final = -1

STRING, ARRAY, INTEGER, NIL, STATUS, ERROR = 1, 2, 3, 4, 5, 6
_TYPES: Final = {
    "rpl_str": STRING, "rpl_arr": ARRAY, "rpl_int": INTEGER, "rpl_err": ERROR, "rpl_sts": STATUS, "rpl_nil": NIL,
}  # fmt: skip
_STEP: Final = re.compile(r"(?:(type|value)(?:\[\s*(\d{1,9})\s*\])?|(info|size))")
_MARK: Final = re.compile(r"%(.)", re.DOTALL)


def words_of(command: str, values: tuple[str, ...]) -> Command:
    """The words of a command, each `%s` in it replaced by the next value, spaces and all; `%%` is a percent sign.

    Raises ValueError for any other use of it.
    """
    rest = iter(values)

    def put(mark: re.Match[str]) -> str:
        if mark[1] == "%":
            return "%"
        if mark[1] == "s":
            return next(rest, "")
        raise ValueError(f"%{mark[1]} in a command: there are %s and %%")

    found = [wire(_MARK.sub(put, word)) for word in command.split(" ") if word]
    if not found:
        raise ValueError("an empty command")
    return found


def type_of(reply: Reply) -> int:
    """The type of a reply, as hiredis numbers them."""
    if reply is None:
        return NIL
    if isinstance(reply, list):
        return ARRAY
    if isinstance(reply, int):
        return INTEGER
    return STATUS if isinstance(reply, Status) else ERROR if isinstance(reply, ErrorReply) else STRING


def value_of(reply: Reply) -> Value:
    """The value of a string or a number, null for others."""
    if isinstance(reply, int):
        return reply
    return text(reply) if isinstance(reply, bytes) and type_of(reply) == STRING else None


class RedisFunctions(Servers):
    """What scripts call and read."""

    def _command(self, command: str, values: tuple[str, ...]) -> Command | None:
        try:
            return words_of(command, values)
        except ValueError as error:
            self.node.log.error("ndb_redis: %s", error)
            return None

    def _ask(self, run: Run, server: str, command: str, values: tuple[str, ...], reply: str) -> int:
        found = self.find(server)
        words = self._command(command, values)
        if found is None or words is None:
            return FAILED
        asked = asked_by(run)
        if asked.pipelines.get(server):
            self.node.log.warning("ndb_redis: commands of a pipeline were not executed yet; they are now")
            self._execute(run, server)
        asked.replies.pop(reply, None)
        if self.is_disabled(found) or len(asked.replies) >= MAX_KEPT:
            return FAILED
        there, got = self.ask_one(run, found, words)
        if not there:
            return FAILED
        asked.replies[reply] = got
        if isinstance(got, ErrorReply):
            self.node.log.error("ndb_redis: %s: %s", server, text(got))
            return FAILED
        return 1

    @native("str", "str", "str")
    @function
    def redis_cmd(self, run: Run, server: str, command: str, reply: str) -> int:
        """Have a command done, and keep its reply under a name; -1 for an error, of Redis' or on the way there."""
        return self._ask(run, server, command, (), reply)

    @native("str", "str", "str", "str", name="redis_cmd")
    @function
    def redis_cmd_p1(self, run: Run, server: str, command: str, value: str, reply: str) -> int:
        """The same with a value for the `%s` in the command."""
        return self._ask(run, server, command, (value,), reply)

    @native("str", "str", "str", "str", "str", name="redis_cmd")
    @function
    def redis_cmd_p2(self, run: Run, server: str, command: str, value: str, value2: str, reply: str) -> int:
        """The same with two values."""
        return self._ask(run, server, command, (value, value2), reply)

    @native("str", "str", "str", "str", "str", "str", name="redis_cmd")
    @function
    def redis_cmd_p3(
        self, run: Run, server: str, command: str, value: str, value2: str, value3: str, reply: str
    ) -> int:
        """The same with three values."""
        return self._ask(run, server, command, (value, value2, value3), reply)

    def _pipe(self, run: Run, server: str, command: str, values: tuple[str, ...], reply: str) -> int:
        found = self.find(server)
        if found is None:
            return FAILED
        if self.cluster:
            self.node.log.error("ndb_redis: there are no pipelines in a cluster")
            return FAILED
        words = self._command(command, values)
        pipeline = asked_by(run).pipelines.setdefault(server, [])
        if words is None or len(pipeline) >= MAX_KEPT:
            return FAILED
        asked_by(run).replies.pop(reply, None)
        pipeline.append((reply, words))
        return 1

    @native("str", "str", "str")
    @function
    def redis_pipe_cmd(self, run: Run, server: str, command: str, reply: str) -> int:
        """Add a command to the run's pipeline, and the name of its reply to come."""
        return self._pipe(run, server, command, (), reply)

    @native("str", "str", "str", "str", name="redis_pipe_cmd")
    @function
    def redis_pipe_cmd_p1(self, run: Run, server: str, command: str, value: str, reply: str) -> int:
        """The same with a value for the `%s` in the command."""
        return self._pipe(run, server, command, (value,), reply)

    @native("str", "str", "str", "str", "str", name="redis_pipe_cmd")
    @function
    def redis_pipe_cmd_p2(self, run: Run, server: str, command: str, value: str, value2: str, reply: str) -> int:
        """The same with two values."""
        return self._pipe(run, server, command, (value, value2), reply)

    @native("str", "str", "str", "str", "str", "str", name="redis_pipe_cmd")
    @function
    def redis_pipe_cmd_p3(
        self, run: Run, server: str, command: str, value: str, value2: str, value3: str, reply: str
    ) -> int:
        """The same with three values."""
        return self._pipe(run, server, command, (value, value2, value3), reply)

    @native("str")
    @function
    def redis_execute(self, run: Run, server: str) -> int:
        """Send the run's pipeline, and keep the replies; -1 if it is empty or fails, -2 while the server is left
        alone."""
        if self.cluster:
            self.node.log.error("ndb_redis: there are no pipelines in a cluster")
            return FAILED
        return self._execute(run, server)

    def _execute(self, run: Run, server: str) -> int:
        found = self.find(server)
        if found is None:
            return FAILED
        asked = asked_by(run)
        if self.is_disabled(found):
            return DISABLED
        pipeline = asked.pipelines.pop(server, None)
        if not pipeline:
            return FAILED
        replies = self.ask(run, found, [words for _, words in pipeline])
        if replies is None:
            return FAILED
        for (name, _), reply in zip(pipeline, replies, strict=True):
            asked.replies[name] = reply
        return 1

    @native("str")
    @function
    def redis_free(self, run: Run, reply: str) -> int:
        """Forget a reply; -1 if there is none."""
        replies = asked_by(run).replies
        if reply not in replies:
            return FAILED
        del replies[reply]
        return 1

    # ---- variables

    @variable("redisd", takes_name=True)
    def types(self, run: Run, name: str, index: object) -> Value:
        """The number of a type of replies: `rpl_str` and its kin."""
        return _TYPES.get(name)

    def variables(self) -> Iterator[Variable]:
        """With `$redis`."""
        yield from super().variables()
        yield named(
            "redis", self._bind, doc="Of a reply: `$redis(r=>type)`, `value`, either with `[n]`, `info`, `size`."
        )

    @staticmethod
    def _bind(inner: Value, _index: Index) -> Bound:
        name, *keys = str(inner).split("=>")
        steps: list[tuple[str, int | None]] = []
        for key in keys:
            step = _STEP.fullmatch(key.strip())
            if step is None:
                raise PvError(f"$redis({inner}): there are type, value, type[n], value[n], info and size")
            steps.append((step[1] or step[3], None if step[2] is None else int(step[2])))
        if not steps or not name:
            raise PvError(f"$redis({inner}): expected reply=>key")

        def get(run: Run) -> Value:
            replies = asked_by(run).replies
            return _follow(replies[name], steps) if name in replies else None

        return Bound(get)


def _follow(reply: Reply, steps: list[tuple[str, int | None]]) -> Value:
    for place, (key, index) in enumerate(steps):
        if index is not None:
            if not isinstance(reply, list) or index >= len(reply):
                return None
            reply = reply[index]
        if place == len(steps) - 1:
            return _read(reply, key)
        if key != "value":
            return None
    return None


def _read(reply: Reply, key: str) -> Value:
    if key == "type":
        return type_of(reply)
    if key == "value":
        return value_of(reply)
    if key == "size":
        return len(reply) if isinstance(reply, list) else None
    return text(reply) if isinstance(reply, bytes) else None
