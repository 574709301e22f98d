"""The cfgs that come with Kamailio: parsed, or refused for what is wrong with them."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest

from kahea.cli.check import report
from kahea.cli.convert import converted
from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.parser import parse_text
from kahea.routing.module import ConfigError

EXAMPLES = Path("/usr/share/doc/kamailio/examples")
#: Endings of what is a cfg and what is a part of one; `tls.cfg` is a list of certificates.
NAMES = (".cfg", ".cfg.gz", ".cfg.sample")

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="Debian's kamailio is not installed")

#: Those with errors in them. Kamailio refuses each of these as well, or its includes are missing.
BROKEN = {
    "exec/exec_s5.cfg": [(30, "expected ; after the call, found else")],
    "exec/exec_s5b.cfg": [(30, "expected ; after the call, found else")],
    "ims/icscf/kamailio.cfg": [(19, "there is no file icscf.cfg")],
    "ims/scscf/kamailio.cfg": [(35, "there is no file scscf.cfg")],
    "kamailio/exec_s5.cfg": [(33, "expected ; after the call, found else")],
    "kemi/kamailio-basic-kemi.cfg": [
        (414, "there is no file /usr/local/etc/kamailio/kamailio-basic-kemi-native.cfg"),
    ],
    "pkg/sip-router-basic.cfg": [(121, "#!endif without #!ifdef")],
    "pkg/sip-router-oob.cfg": [(1718, "#!ifdef without #!endif")],
}


def examples() -> list[Path]:
    """All of them."""
    found = (p for p in sorted(EXAMPLES.rglob("*")) if p.name.endswith(NAMES) and not p.name.startswith("tls.cfg"))
    return list(found) if EXAMPLES.is_dir() else []


def text_of(path: Path) -> str:
    """Its text, unpacked."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "surrogateescape")


def test_each_is_parsed_or_refused_for_a_reason() -> None:
    paths = examples()
    assert len(paths) > 55
    for path in paths:
        wanted = BROKEN.get(str(path.relative_to(EXAMPLES)).removesuffix(".gz"), [])
        found = []
        try:
            assert parse_text(text_of(path), str(path).removesuffix(".gz")).declarations, path
        except CfgError as error:
            found = [(d.place.line, d.message) for d in error.diagnostics]
        assert found == wanted, path


def test_check_has_something_to_say_of_many(tmp_path: Path) -> None:
    """It comes to an end, and every finding has its place."""
    for path in examples()[::4]:
        copy = path
        if path.suffix != ".cfg":
            copy = tmp_path / f"{path.name}.cfg"
            copy.write_text(text_of(path), "utf-8", "surrogateescape")
        found = report(copy, {})
        assert found.text()
        assert found.json()
        for d in found.diagnostics:
            assert d.place.line > 0 or d.code == "log", (path, d)


def test_each_is_converted_or_refused_for_a_reason(tmp_path: Path) -> None:
    """To Python that compiles."""
    done = 0
    for path in examples():
        copy = tmp_path / f"{path.name}.cfg"
        copy.write_text(text_of(path), "utf-8", "surrogateescape")
        with contextlib.suppress(ConfigError):
            compile(converted(copy, {}).script, str(copy), "exec")
            done += 1
    assert done > 45
