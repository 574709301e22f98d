"""Counters, gauges and histograms with up to three labels, and the text that Prometheus reads of them.

The text is Kamailio's, which is Prometheus' format 0.0.4 with a time on each line; quotes in the value of a label are
escaped, which Kamailio leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

MAX_LABELS: Final = 3
#: Series of all metrics together: labels may come from messages.
MAX_SERIES: Final = 20_000
DEFAULT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_REAL: Final = re.compile(r"\s*[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})([eE][+-]?\d{1,2})?\s*", re.ASCII)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

Labels = tuple[str, ...]


class MetricError(Exception):
    """A metric that does not exist, is of another kind, or has other labels; none may be empty, as in Kamailio."""


@dataclass(slots=True)
class Series:
    """The values of one metric for one choice of labels; `counts` are those of a histogram's buckets."""

    used: float
    value: int | float = 0
    counts: list[int] = field(default_factory=list)
    total: int = 0


@dataclass(slots=True)
class Metric:
    """A declared metric: `kind` is counter, gauge or histogram."""

    kind: str
    name: str
    labels: Labels = ()
    buckets: tuple[float, ...] = ()
    series: dict[Labels, Series] = field(default_factory=dict)

    def lines(self, prefix: str, time: int) -> Iterator[str]:
        """What Prometheus reads."""
        name = prefix + self.name
        for values, one in self.series.items():
            pairs = [f'{label}="{value.translate(_ESCAPES)}"' for label, value in zip(self.labels, values, strict=True)]
            if self.kind != "histogram":
                shown = str(one.value) if self.kind == "counter" else f"{one.value:f}"
                yield f"{name}{_braces(pairs)} {shown} {time}"
                continue
            for bound, count in zip((*self.buckets, None), (*one.counts, one.total), strict=True):
                edge = "+Inf" if bound is None else f"{bound:f}"
                le = f'le="{edge}"'
                yield f"{name}_bucket{_braces([*pairs, le])} {count} {time}"
            yield f"{name}_sum{_braces(pairs)} {one.value:f} {time}"
            yield f"{name}_count{_braces(pairs)} {one.total} {time}"


def _braces(pairs: list[str]) -> str:
    return "{" + ", ".join(pairs) + "}" if pairs else ""


def declaration(kind: str, text: str) -> Metric:
    """Read `name=cnt; label=method:IP; buckets=1:2.5`. Raises ValueError."""
    given: dict[str, str] = {}
    for piece in filter(None, (p.strip() for p in text.split(";"))):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or key not in ("name", "label", "buckets") or (key == "buckets" and kind != "histogram"):
            raise ValueError(f"{piece!r} is no attribute of a {kind}")
        if key in given:
            raise ValueError(f"{key} stands twice")
        given[key] = value
    if not _NAME.fullmatch(given.get("name", "")):
        raise ValueError(f"a {kind} has a name of letters, digits and underscores")
    labels = tuple(given["label"].split(":")) if given.get("label") else ()
    if len(labels) > MAX_LABELS or not all(_NAME.fullmatch(label) for label in labels):
        raise ValueError(f"labels are up to {MAX_LABELS} names with colons between them, not {given['label']!r}")
    buckets: tuple[float, ...] = ()
    if kind == "histogram":
        buckets = tuple(map(real, given["buckets"].split(":"))) if "buckets" in given else DEFAULT_BUCKETS
        if any(high <= low for low, high in pairwise(buckets)):
            raise ValueError("each bucket's bound is larger than the one before")
    return Metric(kind, given["name"], labels, buckets)


def real(text: str) -> float:
    """A decimal number. Raises ValueError."""
    if not _REAL.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return float(text)


class Metrics:
    """The metrics of a node. `clock` gives seconds; a series unused for `timeout` seconds goes, 0 keeps it."""

    def __init__(self, clock: Callable[[], float], timeout: float = 0) -> None:
        self.clock = clock
        self.timeout = timeout
        self._metrics: dict[str, Metric] = {}

    def __len__(self) -> int:
        return len(self._metrics)

    def declare(self, metric: Metric) -> None:
        """Make a metric known. Raises ValueError for a name that stands twice."""
        if metric.name in self._metrics:
            raise ValueError(f"there is a metric {metric.name!r} already")
        self._metrics[metric.name] = metric

    def add(self, name: str, number: int, labels: Labels) -> None:
        """Add to a counter. Raises MetricError."""
        if number < 0:
            raise MetricError(f"a counter does not go down by {-number}")
        self._series("counter", name, labels).value += number

    def set(self, name: str, number: float, labels: Labels) -> None:
        """Set a gauge. Raises MetricError."""
        self._series("gauge", name, labels).value = number

    def move(self, name: str, number: float, labels: Labels) -> None:
        """Add to a gauge. Raises MetricError."""
        self._series("gauge", name, labels).value += number

    def reset(self, kind: str, name: str, labels: Labels) -> None:
        """Set a counter or gauge to zero. Raises MetricError."""
        self._series(kind, name, labels).value = 0

    def observe(self, name: str, number: float, labels: Labels) -> None:
        """Count a number in a histogram's buckets. Raises MetricError."""
        one = self._series("histogram", name, labels)
        buckets = self._metrics[name].buckets
        one.counts = one.counts or [0] * len(buckets)
        one.value += number
        one.total += 1
        for i, bound in enumerate(buckets):
            one.counts[i] += number <= bound

    def _series(self, kind: str, name: str, labels: Labels) -> Series:
        metric = self._metrics.get(name)
        if metric is None:
            raise MetricError(f"there is no metric {name!r}")
        if metric.kind != kind:
            raise MetricError(f"{name} is a {metric.kind}, not a {kind}")
        if len(labels) != len(metric.labels):
            raise MetricError(f"{name} has {len(metric.labels)} labels, not {len(labels)}")
        if not all(labels):
            raise MetricError(f"a label of {name} is empty")
        now = self.clock()
        found = metric.series.get(labels)
        if found is None:
            if self._count() >= MAX_SERIES:
                self._forget(now)
                if self._count() >= MAX_SERIES:
                    raise MetricError(f"there are {MAX_SERIES} series already")
            found = metric.series[labels] = Series(now)
        found.used = now
        return found

    def _count(self) -> int:
        return sum(len(metric.series) for metric in self._metrics.values())

    def _forget(self, now: float) -> None:
        """Drop what was not used for too long."""
        if self.timeout <= 0:
            return
        for metric in self._metrics.values():
            for labels in [key for key, one in metric.series.items() if now - one.used > self.timeout]:
                del metric.series[labels]

    def lines(self, prefix: str, time: int) -> list[str]:
        """All of them as Prometheus reads them; `time` in milliseconds since 1970."""
        self._forget(self.clock())
        return [line for metric in self._metrics.values() for line in metric.lines(prefix, time)]


__all__ = ["Metric", "MetricError", "Metrics", "declaration", "real"]
