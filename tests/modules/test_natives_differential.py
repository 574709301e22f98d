"""The native functions in Kamailio and here: argument forms, defaults, return codes, and what goes out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from native_cases import CASES
from native_twin import Case, Kamailio, Ours, cfg, numbered
from twin import needs_kamailio

pytestmark = needs_kamailio
Servers = tuple[Kamailio, Ours]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("natives")
    text = cfg(CASES, "flags f5:5, f0\navpflags af1, af2\n")
    kamailio = Kamailio(folder, text)
    try:
        yield kamailio, Ours(folder, text)
    finally:
        kamailio.stop()


NUMBERS = numbered(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_native_function(servers: Servers, case: Case) -> None:
    kamailio, ours = servers
    number = NUMBERS[case.code]
    assert ours.run(case, number) == kamailio.run(case, number)
