"""The quality of a call, as a relay's statistics tell it: mean opinion scores (MOS), lowest, highest and on average.

Parameters name the variables that get them, for the call as a whole and for two sides that labels tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kahea.routing.module import Module, Param

if TYPE_CHECKING:
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run

M = TypeVar("M", bound=Module)

#: The scores by the names in parameters and in statistics.
_SCORES: Final = {"min": b"lowest MOS", "max": b"highest MOS", "average": b"average MOS"}
#: What goes with a score: the parameter's word, the entry in statistics.
_ENTRIES: Final = {
    "packetloss": b"packet loss",
    "jitter": b"jitter",
    "roundtrip": b"round-trip time",
    "roundtrip_leg": b"round-trip time leg",
}
_WORDS: Final = {
    "": "score", "at": "time in the call", "packetloss": "loss of packets in percent", "jitter": "jitter in ms",
    "roundtrip": "round trip time", "roundtrip_leg": "round trip time of this leg", "samples": "number of samples",
}  # fmt: skip
_NAMES: Final = {"min": "lowest", "max": "highest", "average": "average"}
SIDES: Final = ("", "A", "B")


def parameter_docs() -> dict[str, str]:
    """The names of the parameters, and what each is."""
    found = {}
    for side in SIDES:
        of = f" of side {side}" if side else ""
        if side:
            found[f"mos_{side}_label_pv"] = f"The variable with the label of side {side}, which a script sets."
        for score, name in _NAMES.items():
            for word, what in _WORDS.items():
                if (word == "at" and score == "average") or (word == "samples" and score != "average"):
                    continue
                parts = [part for part in ("mos", score, word, side, "pv") if part]
                how = f"The {name} score" if not word else f"What the {name} score comes with: {what}"
                found["_".join(parts)] = f"A variable for the statistics{of}. {how}."
    return found


def with_parameters(module: type[M]) -> type[M]:
    """Give a module the parameters."""
    for name, doc in parameter_docs().items():
        param = Param("", doc)
        param.__set_name__(module, name)
        setattr(module, name, param)
    return module


class Quality:
    """Puts the scores of statistics into the variables that parameters name."""

    def __init__(self, variable: Callable[[str], Pv | None]) -> None:
        """`variable` gives the variable that a parameter names, None for none."""
        self._pvs = {name: pv for name in parameter_docs() if (pv := variable(name)) is not None}

    def take(self, run: Run, statistics: Mapping[bytes, Any]) -> None:
        """Set the variables from an answer to `delete` or `query`."""
        sources = _dictionary(statistics.get(b"SSRC"))
        if not self._pvs or not sources:
            return
        created = statistics.get(b"created")
        began = created if isinstance(created, int) else 0
        for side in SIDES:
            chosen = self._of_side(run, side, statistics, sources) if side else list(sources.values())
            for score in _SCORES:
                self._set(
                    run, score, side, [_dictionary(_dictionary(source).get(_SCORES[score])) for source in chosen], began
                )

    def _of_side(self, run: Run, side: str, statistics: Mapping[bytes, Any], sources: Mapping[bytes, Any]) -> list[Any]:
        """The sources whose party has the label of a side: the first stream of each of its media."""
        pv = self._pvs.get(f"mos_{side}_label_pv")
        label = None if pv is None else pv.get(run)
        if label is None:
            return []
        found = []
        for party in _dictionary(statistics.get(b"tags")).values():
            party = _dictionary(party)
            if party.get(b"label") != str(label).encode("utf-8", "surrogateescape"):
                continue
            for media in _list(party.get(b"medias")):
                streams = _list(_dictionary(media).get(b"streams"))
                number = _dictionary(streams[0]).get(b"SSRC") if streams else None
                source = sources.get(b"%d" % number) if isinstance(number, int) else None
                if source is not None:
                    found.append(source)
            break
        return found

    def _set(self, run: Run, score: str, side: str, entries: Iterable[Mapping[bytes, Any]], began: int) -> None:
        known = [entry for entry in entries if isinstance(entry.get(b"MOS"), int)]
        if not known:
            return
        if score == "average":
            values = {name: _mean(known, entry) for name, entry in _ENTRIES.items()}
            values |= {"samples": _mean(known, b"samples"), "": _mean(known, b"MOS")}
        else:
            best = (min if score == "min" else max)(known, key=lambda entry: int(entry[b"MOS"]))
            values = {name: _number(best, entry) for name, entry in _ENTRIES.items()}
            values |= {"at": _number(best, b"reported at") - began, "": best[b"MOS"]}
        for word, value in values.items():
            pv = self._pvs.get("_".join(part for part in ("mos", score, word, side, "pv") if part))
            if pv is not None:
                pv.set(run, _shown(word, value))


def _shown(word: str, value: int) -> str:
    """A value as scripts see it: scores in tenths as 4.3, times as 1:05."""
    if word == "":
        return f"{value // 10}.{value % 10}"
    if word == "at":
        return f"{value // 60}:{value % 60:02d}"
    return str(value)


def _mean(entries: list[Mapping[bytes, Any]], name: bytes) -> int:
    """The mean, without its fraction; what an entry lacks counts as -1, as in Kamailio."""
    return int(sum(_number(entry, name) for entry in entries) / len(entries))


def _number(entry: Mapping[bytes, Any], name: bytes) -> int:
    value = entry.get(name)
    return value if isinstance(value, int) else -1


def _dictionary(value: object) -> Mapping[bytes, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
