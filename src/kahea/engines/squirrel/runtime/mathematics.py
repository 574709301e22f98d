"""Squirrel's math library."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, Final

from kahea.engines.squirrel.runtime.numbers import MIN, single, to_integer, wrapped
from kahea.engines.squirrel.runtime.parameters import checked

RAND_MAX: Final = 2147483647


def _real(function: Callable[..., float]) -> Callable[..., Any]:
    """A function of floats; what has no value is not a number."""

    def compute(_this: Any, value: Any) -> float:
        try:
            return single(function(single(float(value))))
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return checked("n", compute)


def _log(function: Callable[[float], float]) -> Callable[[float], float]:
    def compute(value: float) -> float:
        return function(value) if value else -math.inf

    return compute


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    def compute(value: float) -> float:
        return function(value) if math.isfinite(value) else value

    return compute


def _pow(_this: Any, base: Any, exponent: Any) -> float:
    one, other = single(float(base)), single(float(exponent))
    try:
        return single(math.pow(one, other))
    except OverflowError:
        return -math.inf if one < 0 and other % 2 == 1 else math.inf
    except ValueError:
        return math.nan if one else math.inf


def _atan2(_this: Any, y: Any, x: Any) -> float:
    return single(math.atan2(y, x))


def _abs(_this: Any, value: Any) -> int:
    whole = to_integer(value)
    return MIN if whole == MIN else wrapped(abs(whole))


def _fabs(_this: Any, value: Any) -> float:
    return single(abs(float(value)))


def _rand(_this: Any) -> int:
    return random.randrange(RAND_MAX + 1)


def _srand(_this: Any, seed: Any) -> None:
    """Kamailio's sequence belongs to its process, ours to the node: it is no script's to set."""


def math_library() -> dict[str, Any]:
    """What a root table has of it."""
    made: dict[str, Any] = {
        name: _real(getattr(math, name)) for name in ("sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "exp")
    }
    made |= {"log": _real(_log(math.log)), "log10": _real(_log(math.log10))}
    made |= {"floor": _real(_whole(math.floor)), "ceil": _real(_whole(math.ceil))}
    made |= {"pow": checked("nn", _pow), "atan2": checked("nn", _atan2)}
    made |= {"abs": checked("n", _abs), "fabs": checked("n", _fabs)}
    made |= {"rand": _rand, "srand": checked("n", _srand), "RAND_MAX": RAND_MAX, "PI": single(math.pi)}
    return made
