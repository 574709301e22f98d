"""What Kamailio takes as a cfg, and what it refuses: 1,300 snippets, each given to `kamailio -c` and to the parser.

Where Kamailio accepts, the parser must. Where it refuses, the parser or else `kahea check` must find an error. The
exceptions are listed below with their reasons, and a listed one that is none fails, too.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kahea.cli.check import report
from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.parser import parse_text

from .acceptance_known import ACCEPTED_HERE, REFUSED_HERE

KAMAILIO = shutil.which("kamailio")
HERE = Path(__file__).parent / "acceptance"
TOPICS = ("declarations", "preprocessor", "routes", "statements")
HEAD = """listen=udp:127.0.0.1:5060
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "textops.so"
"""

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")


def snippets(topic: str) -> list[str]:
    """Those of a file, which has one Python literal on each line."""
    return [ast.literal_eval(line) for line in (HERE / f"{topic}.txt").read_text().splitlines()]


def whole(topic: str, snippet: str) -> str:
    """The cfg that a snippet is tried in."""
    return HEAD + (f"request_route {{\n{snippet}\n}}\n" if topic == "statements" else snippet)


def accepted_there(path: Path) -> bool:
    """Whether Kamailio takes a cfg."""
    assert KAMAILIO is not None
    command = [KAMAILIO, "-c", "-f", str(path)]
    return subprocess.run(command, capture_output=True, timeout=10).returncode == 0


def parsed_here(path: Path) -> bool:
    """Whether the parser takes it."""
    try:
        parse_text(path.read_text("utf-8", "surrogateescape"), str(path))
    except CfgError:
        return False
    return True


@pytest.mark.parametrize("topic", TOPICS)
def test_acceptance(topic: str, tmp_path: Path) -> None:
    os.environ.setdefault("HOME", "/")
    texts = snippets(topic)
    paths = []
    for i, text in enumerate(texts):
        paths.append(tmp_path / f"{i}.cfg")
        paths[-1].write_text(whole(topic, text), "utf-8", "surrogateescape")
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(accepted_there, paths))
    wrong = []
    for text, path, there in zip(texts, paths, theirs, strict=True):
        here = parsed_here(path) and (there or not report(path, {}).failed(strict=False))
        excepted = text in (REFUSED_HERE if there else ACCEPTED_HERE)
        if (here == there) == excepted:
            wrong.append(
                f"{'accepted' if here else 'refused'} here, {'accepted' if there else 'refused'} there: {text!r}"
            )
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_tried() -> None:
    tried = {text for topic in TOPICS for text in snippets(topic)}
    assert {*ACCEPTED_HERE, *REFUSED_HERE} <= tried
