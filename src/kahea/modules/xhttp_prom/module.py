"""The module: parameters, functions for scripts, and management commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from kahea.modules.xhttp_prom.metrics import MAX_LABELS, Metric, MetricError, Metrics, declaration, real
from kahea.routing.module import ConfigError, Function, Module, Param, RpcError, function, native, rpc
from kahea.routing.run import EVENT_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.node import Node

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
#: KEMI's functions by what they have between the metric's name and its labels.
_KEMI: Final[dict[str, tuple[str, ...]]] = {
    "counter_inc": ("int",),
    "counter_reset": (),
    "gauge_set": ("str",),
    "gauge_inc": ("str",),
    "gauge_reset": (),
    "histogram_observe": ("str",),
}
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_:]")


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError(f"not negative, as {value} is")
    return value


class XhttpProm(Module):
    """Metrics for Prometheus, answered over `xhttp`, and those that scripts declare."""

    name = "xhttp_prom"
    needs = ("xhttp",)

    xhttp_prom_buf_size = Param(0, "The most bytes of an answer; 0 for no limit.", check=_not_negative)
    xhttp_prom_timeout = Param(60, "Minutes until a metric that is not used goes; 0 for never.", check=_not_negative)
    xhttp_prom_stats = Param("", 'Statistics to show: "all", a group with a colon, or a name; none without.')
    xhttp_prom_beginning = Param("kamailio_", "What each name begins with.")
    prom_counter: Param[list[Metric]] = Param(
        [], "A counter: `name=n; label=a:b`.", many=True, check=partial(declaration, "counter")
    )
    prom_gauge: Param[list[Metric]] = Param(
        [], "A gauge: `name=n; label=a:b`.", many=True, check=partial(declaration, "gauge")
    )
    prom_histogram: Param[list[Metric]] = Param(
        [], "A histogram: `name=n; label=a:b; buckets=1:2.5`.", many=True, check=partial(declaration, "histogram")
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.metrics = Metrics(node.now)

    def start(self) -> None:
        """Make the metrics known. Raises ConfigError."""
        self.metrics = Metrics(self.node.now, self.xhttp_prom_timeout * 60)
        for metric in (*self.prom_counter, *self.prom_gauge, *self.prom_histogram):
            try:
                self.metrics.declare(metric)
            except ValueError as error:
                raise ConfigError(f"parameter xhttp_prom.prom_{metric.kind}: {error}") from error

    # ---- the answer

    def page(self) -> str:
        """All metrics as Prometheus reads them. Raises LookupError where xhttp_prom_stats names nothing."""
        time = int(self.node.wall() * 1000)
        lines = ["# User defined metrics" if len(self.metrics) else "# NO User defined metrics"]
        lines += self.metrics.lines(self.xhttp_prom_beginning, time)
        if self.xhttp_prom_stats:
            lines += ["", *self._statistics(self.xhttp_prom_stats, time)]
        return "\n".join(lines) + "\n"

    def _statistics(self, wanted: str, time: int) -> list[str]:
        statistics = self.node.statistics
        if wanted == "all":
            title, chosen = "# Kamailio whole internal statistics", list(statistics)
        elif wanted.endswith(":"):
            title = f"# Kamailio statistics for group: {wanted}"
            chosen = [(wanted[:-1], name) for name in statistics.names(wanted[:-1])]
        else:
            title = f"# Kamailio statistics for: {wanted}"
            chosen = [key for key in statistics if key[1] == wanted][:1]
            if not chosen:
                raise LookupError(f"there is no statistic {wanted!r}")
        return [title, *(self._line(group, name, time) for group, name in chosen)]

    def _line(self, group: str, name: str, time: int) -> str:
        shown = _UNFIT.sub("_", f"{group}_{name}")
        return f"{self.xhttp_prom_beginning}{shown} {self.node.statistics.value(group, name)} {time}"

    @function
    @native(name="prom_dispatch", routes=REQUEST_ROUTE | EVENT_ROUTE)
    def dispatch(self, run: Run) -> int:
        """Answer the HTTP request by all metrics; -1 if that could not be sent."""
        code, reason, kind = 200, "OK", CONTENT_TYPE
        try:
            body = wire(self.page())
            if 0 < self.xhttp_prom_buf_size < len(body):
                raise LookupError(f"{len(body)} bytes are more than xhttp_prom_buf_size")
        except LookupError as error:
            self.node.log.error("prom_dispatch: %s", error)
            code, reason, kind, body = 500, "Internal Server Error", "text/plain", b"Internal Server Error"
        sent: bool = self.node.module("xhttp").reply(run.msg, code, reason, kind, body)
        return 1 if sent and code == 200 else -1

    @function
    @native(name="prom_check_uri", routes=REQUEST_ROUTE | EVENT_ROUTE)
    def check_uri(self, run: Run) -> int:
        """Whether the HTTP request is for /metrics."""
        return 1 if text(run.msg.original_uri) == "/metrics" else -1

    # ---- what scripts count; `prom_x(name, number, labels...)` natively, `x_l2(...)` with two labels in KEMI

    def _try(self, what: Callable[..., None], *arguments: object) -> int:
        try:
            what(*arguments)
        except (MetricError, ValueError) as error:
            self.node.log.error("xhttp_prom: %s", error)
            return -1
        return 1

    @native("str", "int", "str", "str", "str", name="prom_counter_inc", least=2)
    def counter_inc(self, run: Run, name: str, number: int, *labels: str) -> int:
        """Add to a counter; -1 for none of that name and labels, or a negative number."""
        return self._try(self.metrics.add, name, number, labels)

    @native("str", "str", "str", "str", name="prom_counter_reset", least=1)
    def counter_reset(self, run: Run, name: str, *labels: str) -> int:
        """Set a counter to zero; -1 for none of that name and labels."""
        return self._try(self.metrics.reset, "counter", name, labels)

    @native("str", "str", "str", "str", "str", name="prom_gauge_set", least=2)
    def gauge_set(self, run: Run, name: str, number: str, *labels: str) -> int:
        """Set a gauge; -1 for none of that name and labels, or what is no number."""
        return self._try(lambda: self.metrics.set(name, real(number), labels))

    @native("str", "str", "str", "str", "str", name="prom_gauge_inc", least=2)
    def gauge_inc(self, run: Run, name: str, number: str, *labels: str) -> int:
        """Add to a gauge; -1 for none of that name and labels, or what is no number."""
        return self._try(lambda: self.metrics.move(name, real(number), labels))

    @native("str", "str", "str", "str", name="prom_gauge_reset", least=1)
    def gauge_reset(self, run: Run, name: str, *labels: str) -> int:
        """Set a gauge to zero; -1 for none of that name and labels."""
        return self._try(self.metrics.reset, "gauge", name, labels)

    @native("str", "str", "str", "str", "str", name="prom_histogram_observe", least=2)
    def histogram_observe(self, run: Run, name: str, number: str, *labels: str) -> int:
        """Count a number in a histogram; -1 for none of that name and labels, or what is no number."""
        return self._try(lambda: self.metrics.observe(name, real(number), labels))

    def functions(self) -> Iterator[Function]:
        """KEMI's functions take a fixed number of arguments: one for each number of labels."""
        yield from super().functions()
        for base, number in _KEMI.items():
            call = getattr(self, base)
            for count in range(MAX_LABELS + 1):
                params = ("str", *number, *("str",) * count)
                names = ("name", *("number" for _ in number), *(f"label{place}" for place in range(1, count + 1)))
                yield Function(self.name, f"{base}_l{count}", params, "int", call, call.__doc__ or "", names)

    # ---- management

    def _do(self, failed: str, labels: tuple[str, ...], what: Callable[..., None], *arguments: object) -> None:
        try:
            what(*arguments, labels)
        except MetricError as error:
            shown = f" ({', '.join(labels)})" if labels else ""
            raise RpcError(500, f"{failed}{shown}: {error}") from error

    @rpc("xhttp_prom.counter_inc")
    def rpc_counter_inc(self, name: str, number: int, *labels: str) -> None:
        """Add to a counter."""
        if number < 0:
            raise RpcError(400, "required number argument: a counter does not go down")
        self._do(f"Failed to add {number} to counter: {name}", labels, self.metrics.add, name, number)

    @rpc("xhttp_prom.counter_reset")
    def rpc_counter_reset(self, name: str, *labels: str) -> None:
        """Set a counter to zero."""
        self._do(f"Failed to reset counter: {name}", labels, self.metrics.reset, "counter", name)

    @rpc("xhttp_prom.gauge_set")
    def rpc_gauge_set(self, name: str, number: float, *labels: str) -> None:
        """Set a gauge."""
        self._do(f"Failed to set gauge: {name}", labels, self.metrics.set, name, number)

    @rpc("xhttp_prom.gauge_inc")
    def rpc_gauge_inc(self, name: str, number: float, *labels: str) -> None:
        """Add to a gauge."""
        self._do(f"Failed to add to gauge: {name}", labels, self.metrics.move, name, number)

    @rpc("xhttp_prom.gauge_reset")
    def rpc_gauge_reset(self, name: str, *labels: str) -> None:
        """Set a gauge to zero."""
        self._do(f"Failed to reset gauge: {name}", labels, self.metrics.reset, "gauge", name)

    @rpc("xhttp_prom.histogram_observe")
    def rpc_histogram_observe(self, name: str, number: float, *labels: str) -> None:
        """Count a number in a histogram."""
        self._do(f"Failed to observe {number:g} in histogram: {name}", labels, self.metrics.observe, name, number)

    @rpc("xhttp_prom.metric_list_print")
    def rpc_metric_list_print(self) -> list[str]:
        """The metrics of scripts, as Prometheus reads them."""
        return self.metrics.lines(self.xhttp_prom_beginning, int(self.node.wall() * 1000))
