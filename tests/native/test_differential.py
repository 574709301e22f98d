"""The language in Kamailio 5.6.3 and here: the same programs, the same outcomes, on one start of Kamailio."""

from __future__ import annotations

import os

import pytest

from kahea.routing.pv import PvError

from . import generated
from .both import KAMAILIO, Kamailio, Ours, Outcome, Program, cfg, stored
from .known import KNOWN

pytestmark = [
    pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is not installed"),
    pytest.mark.timeout(300),
]

TOPICS = ("codes", "numbers", "flow", "words", "values", "found")
Outcomes = dict[str, list[tuple[Program, Outcome, Outcome]]]


def known_variables() -> frozenset[str]:
    """Those of the generated expressions that both servers have, and that a cfg of 5.6 can spell."""
    table = Ours(cfg([])).node.variables
    found = set()
    for each in [*generated.PLAIN, *generated.KEYED, *generated.TRANSFORMED]:
        try:
            table.compile(each)
        except PvError:
            continue
        if not each.startswith(("$from.", "$to.", "$ruri.", "$err.", "$rcv(", "$sel(msg")):
            found.add(each)
    return frozenset(found)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """All programs by group, with Kamailio's outcome and ours."""
    groups = {topic: stored(topic) for topic in TOPICS}
    groups["operations"] = list(generated.operations())
    groups["constants"] = list(generated.operations_with_constants())
    groups["variables"] = list(generated.variables(known_variables()))
    programs = [program for group in groups.values() for program in group]
    text = cfg(programs)
    ours = Ours(text).run(programs)
    with Kamailio(tmp_path_factory.mktemp("native"), text) as kamailio:
        theirs = kamailio.run(programs)
    pairs = {program.name: (program, t, o) for program, t, o in zip(programs, theirs, ours, strict=True)}
    return {name: [pairs[program.name] for program in group] for name, group in groups.items()}


def reason(program: Program) -> str | None:
    """Why a program may differ, if it may."""
    return next((why for part, why in KNOWN.items() if part in program.body), None)


@pytest.mark.parametrize("group", [*TOPICS, "operations", "constants", "variables"])
def test_the_same_outcome(outcomes: Outcomes, group: str) -> None:
    found = [
        f"{program.body}\n    kamailio {theirs}\n    kahea    {ours}"
        for program, theirs, ours in outcomes[group]
        if theirs != ours and reason(program) is None
    ]
    limit = int(os.environ.get("DIFFERENCES", "10"))
    assert not found, f"{len(found)} programs differ:\n" + "\n".join(found[:limit])


def test_what_is_known_to_differ_does(outcomes: Outcomes) -> None:
    everything = [each for group in outcomes.values() for each in group]
    for part, why in KNOWN.items():
        those = [(theirs, ours) for program, theirs, ours in everything if part in program.body]
        assert those, f"no program has {part!r}"
        assert any(theirs != ours for theirs, ours in those), f"{part!r} is the same in both by now: {why}"


def test_there_are_enough(outcomes: Outcomes) -> None:
    assert sum(len(outcomes[topic]) for topic in TOPICS) > 300
    shown = [ours for group in ("operations", "constants", "variables") for _, _, ours in outcomes[group]]
    assert sum(len(each) for each in shown if each) > 9000
