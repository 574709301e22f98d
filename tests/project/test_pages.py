"""What the pages show works: the README's script, CONTRIBUTING's module, and every link between files."""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path

import pytest

import kahea.modules
from kahea.routing.settings import load
from kahea.testing import Simulation

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]


def listing(page: str, language: str) -> str:
    """The first listing in a language on a page."""
    found = re.search(rf"^( *)```{language}\n(.*?)^\1```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return textwrap.dedent(found[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text().replace("\n", " ")):
        assert (page.parent / target.strip()).exists(), f"{page.name} links to {target}"


def test_the_script_of_the_readme() -> None:
    with Simulation() as simulation:
        simulation.node(listing("README.md", "python"), "udp:192.0.2.1:5060")
        caller = simulation.ua("caller")
        gateway = simulation.ua("gateway", "udp:192.0.2.9:5060")

        call = caller.invite("sip:08001234@192.0.2.1")
        answered = gateway.answer()
        assert call.wait().status == 200
        answered.wait_ack()
        assert call.bye().status == 200

        assert caller.invite("sip:123@192.0.2.1").wait().status == 403


def test_the_module_of_contributing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = listing("CONTRIBUTING.md", "python")
    (tmp_path / "greet.py").write_text(source)
    monkeypatch.setattr(kahea.modules, "__path__", [*kahea.modules.__path__, str(tmp_path)])
    script = """
import KSR

def ksr_request_route():
    KSR.greet.greet("Bob")
    KSR.pv.sets("$du", "sip:10.0.0.2:5060")
    KSR.forward()
    KSR.sl.sl_send_reply(200, KSR.pv.get("$greeting"))
"""
    with Simulation() as simulation:
        simulation.node(script, modules={"greet": {"word": "Hello"}})
        bob = simulation.ua("bob", "udp:10.0.0.2:5060")
        assert simulation.ua("alice").options("sip:10.0.0.9").reason == "Hello"
        assert bob.expect("OPTIONS")["X-Greeting"] == "Hello, Bob"


def test_the_settings_of_the_pages(tmp_path: Path) -> None:
    text = listing("docs/running.md", "toml")
    tomllib.loads(text)
    (tmp_path / "kahea.toml").write_text(text)
    config = load(tmp_path / "route.py")
    assert config.settings.kemi_reply_route_callback == "none"
    assert ("db_url", "sqlite:////var/lib/example/location.sqlite3") in config.modules["usrloc"]
