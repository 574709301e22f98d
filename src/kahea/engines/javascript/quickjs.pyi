"""Types of the binding to QuickJS."""

from typing import Any

class Undefined: ...

UNDEFINED: Undefined

class JsError(Exception):
    fatal: bool

class Context:
    def __init__(
        self,
        exports: list[Any],
        groups: dict[bytes, list[tuple[int, bytes, int]]],
        time_limit: float,
        memory_limit: int,
    ) -> None: ...
    def compile(self, source: bytes, filename: str) -> bytes: ...
    def execute(self, bytecode: bytes) -> Any: ...
    def has(self, name: bytes) -> bool: ...
    def call(self, name: bytes, *args: int | str | None) -> Any: ...

VERSION: str
EXIT: str
TOO_LONG: str

def failure(message: str, trace: str, fatal: bool) -> JsError: ...
def placed(message: str, trace: str) -> str: ...
