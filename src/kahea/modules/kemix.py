"""Module kemix: `KSR.kx`, the attributes of a message without the names of pseudo-variables.

Each function reads what a variable reads; they are made from `_READERS` and exported by `_exports`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kahea.routing.module import Module, Value, function
from kahea.routing.pv.values import NULL_TEXT, leading_int
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: Functions that give a variable's value: with `get_`, and for those of `_DEFAULTED`, `gete_` and `getw_`
#: too.
_READERS = {
    "au": "$au",
    "callid": "$ci",
    "cturi": "$ctu",
    "duri": "$du",
    "fhost": "$fd",
    "furi": "$fu",
    "fuser": "$fU",
    "method": "$rm",
    "msgbuf": "$mb",
    "ouri": "$ou",
    "proto": "$pr",
    "rcv_sock_name": "$Rn",
    "rcvaddr_sock": "$Ras",
    "rcvadvip": "$RAi",
    "rcvadvport": "$RAp",
    "rcvip": "$Ri",
    "rcvport": "$Rp",
    "rhost": "$rd",
    "ruri": "$ru",
    "ruser": "$rU",
    "send_sock": "$fs",
    "send_sock_name": "$fsn",
    "srcaddr_sock": "$sas",
    "srcip": "$si",
    "srcport": "$sp",
    "srcuri": "$su",
    "thost": "$td",
    "turi": "$tu",
    "tuser": "$tU",
    "ua": "$ua",
}
_DEFAULTED = ("au", "cturi", "duri", "fhost", "fuser", "rhost", "ruser", "thost", "tuser", "ua")
_NUMBERS = {
    "bodylen": "$bs",
    "conid": "$conid",
    "msglen": "$ml",
    "msgtype": "$mt",
    "protoid": "$prid",
    "send_sock_port": "$fsp",
    "timestamp": "$TS",
}


def _reader(variable: str, default: str | None) -> Callable[..., Value]:
    def get(self: Module, run: Run) -> Value:
        value = self.node.variables.compile(variable).get(run)
        return default if value is None else value

    what = {None: "null", "": "an empty text"}.get(default, f"the text `{default}`")
    get.__doc__ = f"The value of {variable}, {what} if it has none."
    return get


def _number(variable: str) -> Callable[..., int]:
    def get(self: Module, run: Run) -> int:
        value = self.node.variables.compile(variable).get(run)
        return value if isinstance(value, int) else 0

    get.__doc__ = f"The value of {variable}, 0 if it has none."
    return get


def _exports(target: type[Kemix]) -> type[Kemix]:
    made: dict[str, Callable[..., Any]] = {}
    for name, variable in _READERS.items():
        made[f"get_{name}"] = _reader(variable, None)
        if name in _DEFAULTED:
            made[f"gete_{name}"] = _reader(variable, "")
            made[f"getw_{name}"] = _reader(variable, NULL_TEXT)
    made.update({f"get_{name}": _number(variable) for name, variable in _NUMBERS.items()})
    for name, each in made.items():
        each.__name__ = each.__qualname__ = name
        setattr(target, name, function(group="kx")(each))
    return target


@_exports
class Kemix(Module):
    """Attributes of the message and the environment, by functions."""

    name = "kemix"
    needs = ("pv",)

    @function(group="kx")
    def get_body(self, run: Run) -> Value:
        """The body, null if it is empty."""
        return text(run.msg.body) or None

    @function(group="kx")
    def gete_body(self, run: Run) -> Value:
        """The body, an empty text if there is none."""
        return text(run.msg.body)

    @function(group="kx")
    def getw_body(self, run: Run) -> Value:
        """The body, the text `<null>` if it is empty."""
        return text(run.msg.body) or NULL_TEXT

    @function(group="kx")
    def get_nhuri(self, run: Run) -> Value:
        """The URI that a request goes to next: the destination URI, or else the Request-URI."""
        msg = run.msg
        return text(msg.dst_uri or msg.uri) if msg.is_request else None

    @function(group="kx")
    def get_status(self, run: Run) -> int:
        """The status code of a reply, -1 in a request."""
        return run.msg.status or -1

    @function(group="kx")
    def gets_status(self, run: Run) -> Value:
        """The status code of a reply as text, null in a request."""
        return str(run.msg.status) if run.msg.status else None

    def _define(self, name: str) -> str | None:
        return self.node.configuration.defines.get(name)

    @function(group="kx")
    def ifdef(self, run: Run, name: str) -> bool:
        """Whether the preprocessor defined a name."""
        return self._define(name) is not None

    @function(group="kx")
    def ifndef(self, run: Run, name: str) -> bool:
        """Whether the preprocessor did not define a name."""
        return self._define(name) is None

    @function(group="kx")
    def get_def(self, run: Run, name: str) -> Value:
        """What a name was defined as, an empty text if it was not."""
        return self._define(name) or ""

    @function(group="kx")
    def get_defn(self, run: Run, name: str) -> int:
        """The same as a number, 0 if it was not."""
        return leading_int(self._define(name) or "")

    @function(group="kx")
    def get_env(self, run: Run, name: str) -> Value:
        """An environment variable, an empty text if it is not set."""
        return os.environ.get(name, "")

    @function(group="kx")
    def get_envn(self, run: Run, name: str) -> int:
        """The same as a number, 0 if it is not set."""
        return leading_int(os.environ.get(name, ""))


MODULE = Kemix
