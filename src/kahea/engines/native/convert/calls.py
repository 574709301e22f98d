"""Calls: the KEMI function that does what a native one does, and its arguments in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.engines.native.constants import fold
from kahea.engines.native.convert.code import ANY, BOOL, INT, STR, Code, literal
from kahea.engines.native.tree import Binary, Call, Expression, Number, Select, String, Variable, Word
from kahea.routing.literals import whole
from kahea.routing.module import ConfigError, Function, Native
from kahea.routing.pv import Format, Pv
from kahea.routing.pv.errors import PvError

if TYPE_CHECKING:
    from kahea.engines.native.convert.names import Names
    from kahea.routing.node import Node

#: Native functions that KEMI has under another name: (module under KSR, function).
RENAMED: Final = {
    "append_hf": {1: ("hdr", "append"), 2: ("hdr", "append_after")},
    "insert_hf": {1: ("hdr", "insert"), 2: ("hdr", "insert_before")},
    "remove_hf": {1: ("hdr", "remove")},
    "is_present_hf": {1: ("hdr", "is_present")},
    "append_to_reply": {1: ("hdr", "append_to_reply")},
    "is_method": {1: ("", "is_method")},
    "mf_process_maxfwd_header": {1: ("maxfwd", "process_maxfwd")},
    "maxfwd_process": {1: ("maxfwd", "process_maxfwd")},
    "save": {1: ("registrar", "save"), 2: ("registrar", "save"), 3: ("registrar", "save_uri")},
    "lookup": {1: ("registrar", "lookup"), 2: ("registrar", "lookup_uri")},
    "xlog": {2: ("xlog", "xlog")},
    "record_route": {0: ("rr", "record_route"), 1: ("rr", "record_route_params")},
    "append_branch": {
        0: ("corex", "append_branch"),
        1: ("corex", "append_branch_uri"),
        2: ("corex", "append_branch_uri_q"),
    },
    "t_on_failure": {1: ("tm", "t_on_failure")},
    "seturi": {1: ("", "seturi")},
    "rewriteuri": {1: ("", "seturi")},
    "sethost": {1: ("", "sethost")},
    "rewritehost": {1: ("", "sethost")},
    "setuser": {1: ("", "setuser")},
    "rewriteuser": {1: ("", "setuser")},
    "alias_db_lookup": {1: ("alias_db", "lookup"), 2: ("alias_db", "lookup_ex")},
    "sd_lookup": {1: ("speeddial", "lookup"), 2: ("speeddial", "lookup_owner")},
    "lookup_domain": {1: ("domain", "lookup_domain"), 2: ("domain", "lookup_domain_prefix")},
}

#: Native functions that do more than KEMI's of the same name: one has the Request-URI tried once more, the other tells
#: why a relay failed.
UNLIKE: Final = frozenset(["setdsturi", "sl_reply_error"])

#: xlog's levels as native scripts write them, and KEMI's functions for them.
_LEVELS: Final = {
    "L_ALERT": "xalert",
    "L_CRIT": "xcrit",
    "L_ERR": "xerr",
    "L_WARN": "xwarn",
    "L_NOTICE": "xnotice",
    "L_INFO": "xinfo",
    "L_DBG": "xdbg",
}

#: Functions whose 0 ends the script: a retransmission, or a message that is done with.
ENDING: Final = frozenset(
    [
        "t_check_trans",
        "t_newtran",
        "t_relay",
        "t_relay_to",
        "t_forward_nonack",
        "t_suspend",
        "t_lookup_request",
        "t_replicate",
    ]
)
#: Of these a person leaves the 0 alone: what follows does no harm to a retransmission.
HARMLESS: Final = frozenset(["t_relay", "t_relay_to", "t_forward_nonack", "t_replicate"])


class Calls:
    """Function calls of one program."""

    def __init__(self, node: Node, names: Names) -> None:
        self._node = node
        self._names = names
        self._by_name: dict[str, list[Function]] = {}
        for function in node.registry.functions.values():
            self._by_name.setdefault(function.name, []).append(function)

    def call(self, call: Call) -> Code:
        """A call as KEMI makes it. What KEMI has no function for goes by its native name through `KSR.x.modf`."""
        if call.name == "xlog":
            return self._xlog(call)
        function = self._function(call)
        if function is not None:
            arguments = self._arguments(call, function)
            if arguments is not None:
                where = f"KSR.{function.module}." if function.module else "KSR."
                kind = {"bool": BOOL, "xval": ANY}.get(function.ret, INT)
                return Code(f"{where}{function.name}({', '.join(arguments)})", type=kind)
        given = [literal(call.name), *(self._as_written(a) for a in call.arguments)]
        return Code(f"KSR.x.modf({', '.join(given)})", type=INT)

    def _function(self, call: Call) -> Function | None:
        if call.name in UNLIKE:
            return None
        renamed = RENAMED.get(call.name, {}).get(len(call.arguments))
        if renamed is not None:
            return self._node.registry.functions.get(renamed)
        found = self._by_name.get(call.name, [])
        forms = {form.module for form in self._node.registry.natives.get(call.name, [])}
        if len(found) > 1:
            found = [f for f in found if f.module in forms or (f.module == "" and "core" in forms)]
        return found[0] if len(found) == 1 else None

    def _form(self, call: Call) -> Native | None:
        for form in self._node.registry.natives.get(call.name, []):
            if form.least <= len(call.arguments) <= len(form.kinds):
                return form
        return None

    def _arguments(self, call: Call, function: Function) -> list[str] | None:
        """The arguments in KEMI's types; None where they don't fit the function."""
        missing = len(function.params) - len(call.arguments)
        if missing < 0:
            return None
        form = self._form(call)
        kinds = form.kinds if form is not None else ("str",) * len(call.arguments)
        out: list[str] = []
        for argument, kind, wanted in zip(call.arguments, kinds, function.params, strict=False):
            code = self._integer(argument) if wanted in ("int", "long") else self._text(argument, kind, function)
            if code is None:
                return None
            out.append(code)
        if missing:
            defaults = self._defaults(form, function, missing)
            if defaults is None:
                return None
            out += defaults
        return out

    @staticmethod
    def _defaults(form: Native | None, function: Function, missing: int) -> list[str] | None:
        """For the last arguments, what the native function takes if they are not given."""
        given = form.defaults[-missing:] if form is not None and len(form.kinds) == len(function.params) else ()
        if len(given) == missing and all(isinstance(each, int | str) for each in given):
            return [literal(each) if isinstance(each, str) else repr(each) for each in given]
        # Kamailio's own KEMI functions take 0 for flags that are not given.
        return ["0"] * missing if set(function.params[-missing:]) == {"int"} else None

    def _integer(self, argument: Expression) -> str | None:
        match argument:
            case Number(value=value):
                return self._constant(argument, str(value))
            case String(text=text) if "$" not in text:
                try:
                    number = int(text, 0)
                except ValueError:
                    return None
                return text if text.lower().startswith("0x") else str(number)
            case Word(text=text):
                return self._names.flag(text)
            case Variable(text=text):
                return f"KSR.pv.geti({literal(text)})"
            case String(text=text) if self._is_variable(text):
                return f"KSR.pv.geti({literal(text)})"
        return None

    def _constant(self, node: Expression, value: str) -> str:
        macro = self._names.macro(node)
        if macro is None:
            return value
        self._names.constants.setdefault(macro, value)
        return macro

    def _text(self, argument: Expression, kind: object, function: Function) -> str | None:
        match argument:
            case String(text=text):
                variable = self._node.variables.leading(text) if kind is whole or kind == "reason" else ""
                if variable:
                    return f"KSR.pv.gete({literal(variable)})"
                if kind is whole:
                    return self._constant(argument, literal(text))
                if "$" in text and not self._by_itself(kind, function):
                    return self.format(text)
                if isinstance(kind, str) and kind.startswith("route:"):
                    kinds = {"onreply": "reply", "route": "request"}
                    return literal(self._names.route(kinds.get(kind[6:], kind[6:]), text) or text)
                return self._constant(argument, literal(text))
            case Variable(text=text):
                return literal(text) if kind == "pv" else f"KSR.pv.gete({literal(text)})"
            case Number(value=value):
                return literal(str(value))
            case Word(text=text) | Select(text=text):
                return literal(text)
            case Binary():
                known = fold(argument)
                return None if known is None else literal(str(known))
        return None

    @staticmethod
    def _by_itself(kind: object, function: Function) -> bool:
        """Whether `$` is left to the function: it takes the text as it is, or evaluates it in KEMI, too."""
        if isinstance(kind, str) and kind not in ("str", "format", "reason"):
            return True
        return function.module == "xlog" or function.name.startswith(("subst", "evalx", "msg_iterator"))

    def _as_written(self, argument: Expression) -> str:
        match argument:
            case Number(value=value):
                return str(value)
            case String(text=text) | Variable(text=text) | Select(text=text) | Word(text=text):
                return literal(text)
        known = fold(argument)
        if known is None:
            raise ConfigError(f"{argument.place}: an argument that is worked out at run time can't be converted")
        return literal(str(known))

    def _is_variable(self, text: str) -> bool:
        try:
            self._node.variables.compile(text)
        except PvError:
            return False
        return True

    def format(self, text: str) -> str:
        """Text with variables in it, as Python."""
        try:
            found: Format = self._node.variables.format(text)
        except PvError:
            return literal(text)
        parts = found.parts
        if len(parts) == 1 and isinstance(parts[0], Pv):
            return f"KSR.pv.gete({literal(parts[0].text)})"
        return joined([part if isinstance(part, str) else f"KSR.pv.getw({literal(part.text)})" for part in parts],
                      [isinstance(part, str) for part in parts])  # fmt: skip

    def _xlog(self, call: Call) -> Code:
        """xlog evaluates its text by itself in KEMI, too."""
        *level, text = call.arguments
        shown = literal(text.text) if isinstance(text, String) else self._as_written(text)
        if not level:
            return Code(f"KSR.xlog.xerr({shown})", type=INT)
        word = level[0].text if isinstance(level[0], (String, Word)) else ""
        if word in _LEVELS:
            return Code(f"KSR.xlog.{_LEVELS[word]}({shown})", type=INT)
        return Code(f"KSR.x.modf({literal('xlog')}, {self._as_written(level[0])}, {shown})", type=INT)


def joined(parts: list[str], literals: list[bool]) -> str:
    """An f-string of literal pieces and expressions, or a sum where their quotes and backslashes don't allow one."""
    if all(literals):
        return literal("".join(parts))
    expressions = [p for p, is_text in zip(parts, literals, strict=True) if not is_text]
    texts = [p for p, is_text in zip(parts, literals, strict=True) if is_text]
    if not any("'" in e or "\\" in e for e in expressions) and '"' not in "".join(texts):
        out = "".join(
            literal(part)[1:-1].replace("{", "{{").replace("}", "}}") if is_text else "{" + part.replace('"', "'") + "}"
            for part, is_text in zip(parts, literals, strict=True)
        )
        return f'f"{out}"'
    return " + ".join(
        literal(part) if is_text else f"str({part})" for part, is_text in zip(parts, literals, strict=True)
    )


__all__ = ["ENDING", "HARMLESS", "STR", "Calls", "joined"]
