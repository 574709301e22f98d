"""Types of the compiled callers for other languages."""

from collections.abc import Callable
from typing import Any

from kahea.routing.module import Function

class TooFewArguments(TypeError): ...

class Foreign:
    @property
    def where(self) -> str: ...
    @property
    def count(self) -> int: ...
    def __init__(
        self,
        function: Function,
        as_bytes: bool,
        to_int: Callable[[object, str], int],
        to_str: Callable[[object, str], str],
        nothing: object,
        as_latin: bool = False,
    ) -> None: ...
    def __call__(self, *values: Any) -> Any: ...
    def call(self, values: tuple[Any, ...], first: int = 0) -> Any: ...
