"""A script's text as a Python code object with the script's own file and lines.

The text is read (`parser`), its names are resolved (`resolve`), the kinds of its variables found (`kinds`), and from
that Python's syntax tree is made (`expressions`, `statements`, `functions`), which Python compiles. So tracebacks,
coverage and pdb show the script, and it runs as fast as Python where the text tells the types.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import CodeType

from kahea.engines.squirrel.compiler.functions import MAIN, Functions, renamed
from kahea.engines.squirrel.compiler.kinds import Kinds
from kahea.engines.squirrel.compiler.resolve import Constants, Resolver
from kahea.engines.squirrel.diagnostics import SyntaxFault
from kahea.engines.squirrel.parser import parse


def compiled(source: str, file: str, constants: Constants, ksr: Mapping[str, str]) -> CodeType:
    """The code that defines the function `MAIN`, which runs the text.

    `source` has a character for each byte; its constants are added to `constants`. `ksr` has the functions of KSR by
    their path, and the kind of what each gives. Raises SyntaxFault.
    """
    body = parse(source, file)
    resolver = Resolver(source, file, constants)
    scope = resolver.file(body)
    kinds = Kinds(ksr)
    kinds.infer(resolver.variables)
    functions = Functions(kinds, ksr)
    module = functions.main(body, scope)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, about what is an error of the script when it runs
            code = compile(module, file, "exec")
    except SyntaxError as error:  # what Python has bounds for, such as nested loops
        raise SyntaxFault(file, source, error.lineno or 1, error.offset or 1, error.msg) from error
    except RecursionError as error:
        raise SyntaxFault(file, source, 1, 1, "the script is nested too deeply") from error
    return renamed(code, functions.names)


__all__ = ["MAIN", "Constants", "compiled"]
