"""Types of the compiled callers."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

class Caller: ...
class Guard: ...

def quiet(f: _F) -> _F: ...
def guarded(f: Callable[..., Any], name: str | None, failed: object) -> Callable[..., Any]: ...
def caller(
    f: Callable[..., Any],
    where: str,
    types: Sequence[type],
    converters: Sequence[Callable[[object, str], object]],
    failed: object,
    doc: str,
) -> Callable[..., Any]: ...
