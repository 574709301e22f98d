"""`KSR.pvx`: XAVPs, XAVUs and XAVIs by name, and between them and parameter lists.

The same functions exist for each of the three, so they are made from one pattern each, and exported by
`_exports`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kahea.modules.pv.lists import plain_value
from kahea.modules.pv.script import NULLABLE
from kahea.routing.lists import Lists, Xavps, XValue, lists_of
from kahea.routing.literals import output
from kahea.routing.module import Module, Value, function, native
from kahea.routing.pv import PvError
from kahea.routing.pv.values import NULL_TEXT
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.routing.transformations.params import Params, parse_params

if TYPE_CHECKING:
    from kahea.routing.run import Run

Pick = Callable[[Lists], Xavps]
_U64 = (1 << 64) - 1

_PICKS: dict[str, Pick] = {
    "xavp": lambda lists: lists.xavps,
    "xavu": lambda lists: lists.xavus,
    "xavi": lambda lists: lists.xavis,
}
_STACKED = ("xavp", "xavi")  # a new value goes on top; of an XAVU it takes the place of the old one


def _field(pick: Pick, run: Run, root: str, field: str) -> Value:
    item = pick(lists_of(run.msg)).find(root)
    fields = None if item is None else item.fields
    return None if fields is None else plain_value(fields.get(field))


def _readers(kind: str, pick: Pick) -> dict[str, Callable[..., Any]]:
    def get(self: Module, run: Run, name: str) -> Value:
        """The newest value."""
        return plain_value(pick(lists_of(run.msg)).get(name))

    def gete(self: Module, run: Run, name: str) -> Value:
        """The newest value, an empty text for null."""
        value = plain_value(pick(lists_of(run.msg)).get(name))
        return "" if value is None else value

    def getw(self: Module, run: Run, name: str) -> Value:
        """The newest value, the text `<null>` for null."""
        value = plain_value(pick(lists_of(run.msg)).get(name))
        return NULL_TEXT if value is None else value

    def is_null(self: Module, run: Run, name: str) -> int:
        """Whether there is no value."""
        return 1 if pick(lists_of(run.msg)).find(name) is None else -1

    def child_get(self: Module, run: Run, name: str, field: str) -> Value:
        """A field of the newest value."""
        return _field(pick, run, name, field)

    def child_gete(self: Module, run: Run, name: str, field: str) -> Value:
        """A field of the newest value, an empty text for null."""
        value = _field(pick, run, name, field)
        return "" if value is None else value

    def child_getw(self: Module, run: Run, name: str, field: str) -> Value:
        """A field of the newest value, the text `<null>` for null."""
        value = _field(pick, run, name, field)
        return NULL_TEXT if value is None else value

    def child_is_null(self: Module, run: Run, name: str, field: str) -> int:
        """Whether the newest value has no such field."""
        return 1 if _field(pick, run, name, field) is None else -1

    made = (get, gete, getw, is_null, child_get, child_gete, child_getw, child_is_null)
    return {f"{kind}_{each.__name__}": each for each in made}


def _writers(kind: str, pick: Pick) -> dict[str, Callable[..., Any]]:
    def put(run: Run, name: str, value: XValue) -> int:
        xavps = pick(lists_of(run.msg))
        if kind in _STACKED:
            xavps.push(name, value)
        else:
            xavps.set(name, value)
        return 1

    def seti(self: Module, run: Run, name: str, value: int) -> int:
        """Set the value to a number; a stacked list keeps the older ones."""
        return put(run, name, value)

    def sets(self: Module, run: Run, name: str, value: str) -> int:
        """Set the value to a text; a stacked list keeps the older ones."""
        return put(run, name, value)

    def child_seti(self: Module, run: Run, name: str, field: str, value: int) -> int:
        """Set a field of the newest value to a number."""
        pick(lists_of(run.msg)).make(name).set(field, value)
        return 1

    def child_sets(self: Module, run: Run, name: str, field: str, value: str) -> int:
        """Set a field of the newest value to a text."""
        pick(lists_of(run.msg)).make(name).set(field, value)
        return 1

    def rm(self: Module, run: Run, name: str) -> int:
        """Remove the newest value."""
        pick(lists_of(run.msg)).remove(name)
        return 1

    def child_rm(self: Module, run: Run, name: str, field: str) -> int:
        """Remove a field of the newest value."""
        item = pick(lists_of(run.msg)).find(name)
        if item is not None and item.fields is not None:
            item.fields.remove(field)
        return 1

    made = (seti, sets, child_seti, child_sets, rm, child_rm)
    return {f"{kind}_{each.__name__}": each for each in made}


def as_dict(fields: Xavps) -> dict[str, list[Any]]:
    """The fields as a dictionary of lists, newest value first."""
    found: dict[str, list[Any]] = {}
    for item in reversed(fields.items):
        value = as_dict(item.value) if isinstance(item.value, Xavps) else item.value
        found.setdefault(item.name, []).append(value)
    return found


def _structured(kind: str, pick: Pick) -> dict[str, Callable[..., Any]]:
    """What gives lists and dictionaries: to languages that have such, as Kamailio does for Lua and others."""

    def nth(run: Run, name: str, index: int) -> Xavps | None:
        item = pick(lists_of(run.msg)).find(name, index)
        return None if item is None else item.fields

    def get_keys(self: Module, run: Run, name: str, index: int) -> Any:
        """The names of the fields of a value, by its index."""
        fields = nth(run, name, index)
        return None if fields is None else fields.names()

    def getd(self: Module, run: Run, name: str) -> Any:
        """All values that have fields, each as a dictionary of lists."""
        items = pick(lists_of(run.msg)).all(name)
        found = [as_dict(item.value) for item in items if isinstance(item.value, Xavps)]
        return found or None

    def getd_p1(self: Module, run: Run, name: str, index: int) -> Any:
        """The fields of a value, by its index, as a dictionary of lists."""
        fields = nth(run, name, index)
        return None if fields is None else as_dict(fields)

    def rm_all(self: Module, run: Run, name: str) -> int:
        """Remove all values."""
        pick(lists_of(run.msg)).remove_all(name)
        return 1

    return {
        f"{kind}_get_keys": function(group="pvx", params=("str", "int"), ret="xval")(get_keys),
        f"{kind}_getd": function(group="pvx", params=("str",), ret="xval")(getd),
        f"{kind}_getd_p1": function(group="pvx", params=("str", "int"), ret="xval")(getd_p1),
        f"{kind}_rm_all": function(group="pvx")(rm_all),
    }


def _exports(target: type[XavpFunctions]) -> type[XavpFunctions]:
    """Add the functions that are alike for the three kinds of lists."""
    for kind, pick in _PICKS.items():
        made = {n: function(group="pvx")(f) for n, f in {**_readers(kind, pick), **_writers(kind, pick)}.items()}
        if kind in _STACKED:
            made |= _structured(kind, pick)
        for name, each in made.items():
            _rename(each, name)
            each.__doc__ = re.sub(r"\bvalues?\b", rf"\g<0> of the {kind.upper()}", each.__doc__ or "", count=1)
            setattr(target, name, each)
    return target


def _rename(each: Callable[..., Any], name: str) -> None:
    _, params, ret, group = each.__kahea_function__  # type: ignore[attr-defined]
    each.__name__ = each.__qualname__ = name
    each.__kahea_function__ = (name, params, ret, group)  # type: ignore[attr-defined]


class XavpFunctions(Module):
    """Functions on XAVPs; see `_exports` for those that XAVUs and XAVIs have too."""

    def _print(self, xavps: Xavps, kind: str) -> int:
        for line in xavps.lines():
            self.node.log.info("%s: %s", kind, line)
        return 1

    @function(group="pvx")
    @native()
    def pv_xavp_print(self, run: Run) -> int:
        """Write the XAVPs to the log."""
        return self._print(lists_of(run.msg).xavps, "xavp")

    @function(group="pvx")
    @native()
    def pv_xavu_print(self, run: Run) -> int:
        """Write the XAVUs to the log."""
        return self._print(lists_of(run.msg).xavus, "xavu")

    @function(group="pvx")
    @native()
    def pv_xavi_print(self, run: Run) -> int:
        """Write the XAVIs to the log."""
        return self._print(lists_of(run.msg).xavis, "xavi")

    # ---- whole values

    @function(group="pvx")
    @native("str", "int", "str")
    def xavp_copy(self, run: Run, source: str, index: int, name: str) -> int:
        """Copy a value by its index, and add it after those of another name."""
        xavps = lists_of(run.msg).xavps
        item = xavps.find(source, index)
        if item is None:
            self.node.log.error("xavp_copy: there is no $xavp(%s[%d])", source, index)
            return -1
        xavps.append(name, item.value.copy() if isinstance(item.value, Xavps) else item.value)
        return 1

    @function(group="pvx")
    @native("str", "int", "str", "int", name="xavp_copy")
    def xavp_copy_dst(self, run: Run, source: str, index: int, name: str, at: int) -> int:
        """Copy a value by its index in the place of another one."""
        xavps = lists_of(run.msg).xavps
        item, other = xavps.find(source, index), xavps.find(name, at)
        if item is None or other is None:
            self.node.log.error("xavp_copy: there is no $xavp(%s[%d]) or $xavp(%s[%d])", source, index, name, at)
            return -1
        other.value = item.value.copy() if isinstance(item.value, Xavps) else item.value
        return 1

    @function(group="pvx")
    @native("str", "int")
    def xavp_lshift(self, run: Run, name: str, by: int) -> int:
        """Rotate the values of a name to the left: with 1, the newest becomes the last."""
        xavps = lists_of(run.msg).xavps
        items = xavps.all(name)
        if not items:
            return -2 if by else 1
        values = [item.value for item in items]
        by %= len(values)
        for item, value in zip(items, values[by:] + values[:by], strict=True):
            item.value = value
        return 1

    @function(group="pvx")
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def xavp_push_dst(self, run: Run, name: str) -> int:
        """Make the newest value's fields the request's target: `uri`, `dsturi` and `socket`, those that it has.

        -1, and nothing is changed, if there are no such fields, or the socket is none of this server's.
        """
        item, msg = lists_of(run.msg).xavps.find(name), run.msg
        if item is None or item.fields is None or not msg.is_request:
            self.node.log.error("xavp_push_dst: there is no $xavp(%s) with fields, or no request", name)
            return -1
        uri, dst, sock = (item.fields.get(field) for field in ("uri", "dsturi", "socket"))
        listener = self.node.find_listener(sock) if isinstance(sock, str) and sock else None
        if isinstance(sock, str) and sock and listener is None:
            self.node.log.error("xavp_push_dst: %r is no socket of this server", sock)
            return -1
        if isinstance(uri, str) and uri:
            msg.set_uri(wire(uri))
        if isinstance(dst, str) and dst:
            msg.dst_uri = wire(dst)
        if listener is not None:
            msg.send_sock = listener
        return 1

    # ---- parameter lists

    def _explode(self, text: str, separator: str) -> Params | None:
        params = parse_params(text, separator)
        if not params or not all(name for name, _ in params):
            self.node.log.error("%r is no list of parameters", text)
            return None
        return params

    def _push_params(self, run: Run, text: str, separator: str, name: str) -> int:
        params = self._explode(text, separator)
        if params is None:
            return -1
        fields = Xavps()
        for key, value in reversed(params):
            fields.push(key, value)
        lists_of(run.msg).xavps.push(name, fields)
        return 1

    @function(group="pvx")
    @native("str", "str")
    def xavp_params_explode(self, run: Run, text: str, name: str) -> int:
        """Make fields of `a=1;b=2`."""
        return self._push_params(run, text, ";", name)

    @function(group="pvx")
    @native("str", "str", "str")
    def xavp_xparams_explode(self, run: Run, text: str, separator: str, name: str) -> int:
        """Make fields of a parameter list with another separator."""
        if len(separator) != 1:
            self.node.log.error("xavp_xparams_explode takes a separator of one character")
            return -1
        return self._push_params(run, text, separator, name)

    @function(group="pvx")
    @native("str", "str")
    def xavu_params_explode(self, run: Run, text: str, name: str) -> int:
        """Make fields of `a=1;b=2`."""
        params = self._explode(text, ";")
        if params is None:
            return -1
        fields = lists_of(run.msg).xavus.make(name)
        for key, value in reversed(params):
            fields.set(key, value)
        return 1

    def _implode(self, run: Run, xavps: Xavps, name: str, into: str, quote: str) -> int:
        item = xavps.find(name)
        if item is None or item.fields is None:
            return -1
        text = "".join(_parameter(each.name, each.value, quote) for each in reversed(item.fields.items))
        try:
            pv = self.node.variables.compile(into)
        except PvError as error:
            self.node.log.error("%s", error)
            return -1
        return 1 if pv.set(run, text) else -1

    @function(group="pvx")
    @native("str", output)
    def xavp_params_implode(self, run: Run, name: str, into: str) -> int:
        """Write fields as `a=1;b=2;` into a variable."""
        return self._implode(run, lists_of(run.msg).xavps, name, into, "")

    @function(group="pvx")
    @native("str", output)
    def xavp_params_implode_qval(self, run: Run, name: str, into: str) -> int:
        """Write fields as `a="1";b="2";` into a variable."""
        return self._implode(run, lists_of(run.msg).xavps, name, into, '"')

    @function(group="pvx")
    @native("str", output)
    def xavu_params_implode(self, run: Run, name: str, into: str) -> int:
        """Write fields as `a=1;b=2;` into a variable."""
        return self._implode(run, lists_of(run.msg).xavus, name, into, "")

    @function(group="pvx")
    @native("str", "str", "str", "str")
    def xavp_slist_explode(self, run: Run, text: str, separators: str, mode: str, name: str) -> int:
        """Make fields named `v` of the parts of a list, without the empty ones; mode `t` trims them."""
        if not text or not separators or not name:
            return -1
        for other in separators[1:]:
            text = text.replace(other, separators[0])
        parts = text.split(separators[0])
        if "t" in mode.lower():
            parts = [part.strip(" \t\r\n") for part in parts]
        fields = Xavps()
        for part in reversed(parts):
            if part:
                fields.push("v", part)
        lists_of(run.msg).xavps.push(name, fields)
        return 1

    # ---- between $var and XAVP

    @function(group="pvx")
    @native("str", "str")
    def pv_var_to_xavp(self, run: Run, variable: str, name: str) -> int:
        """Copy a `$var`, or all of them for `*`, into the fields of a new value, which replaces the older
        ones."""
        found = {key: value for key, value in run.vars.items() if not key.startswith(NULLABLE)}
        if variable != "*":
            if variable not in found:
                self.node.log.error("pv_var_to_xavp: there is no $var(%s)", variable)
                return -1
            found = {variable: found[variable]}
        xavps = lists_of(run.msg).xavps
        xavps.remove_all(name)
        fields = Xavps()
        for key, value in found.items():
            if value is not None:
                fields.push(key, value)
        xavps.push(name, fields)
        return 1

    @function(group="pvx")
    @native("str")
    def pv_xavp_to_var(self, run: Run, name: str) -> int:
        """Copy the fields of all values into `$var`s; where several have a field, the oldest counts."""
        values = [item.fields for item in lists_of(run.msg).xavps.all(name) if item.fields is not None]
        if not values:
            self.node.log.error("pv_xavp_to_var: there is no $xavp(%s) with fields", name)
            return -1
        for fields in values:
            for each in reversed(fields.items):
                if isinstance(each.value, (int, str)):
                    run.vars[each.name] = each.value
        return 1


def _parameter(name: str, value: XValue, quote: str) -> str:
    """A field as a parameter: a number unsigned, an empty text as the bare name; fields of fields are left
    out."""
    if isinstance(value, int):
        return f"{name}={quote}{value & _U64}{quote};"
    if isinstance(value, str):
        return f"{name}={quote}{value}{quote};" if value else f"{name};"
    return ""


_exports(XavpFunctions)
