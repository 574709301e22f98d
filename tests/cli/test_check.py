"""`kahea check`: what it prints, in both forms, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import kahea

from kahea.cli.check import report
from kahea.engines.native.diagnostics import ERROR, NOTE, WARNING

FINE = 'loadmodule "sl.so"\nrequest_route {\n\tsl_send_reply("200", "OK");\n\texit;\n}\n'
WARNED = FINE.replace("\texit;", "\tif (1) exit;")
BROKEN = FINE.replace("sl_send_reply", "sl_send_replay")


def write(folder: Path, text: str, name: str = "kamailio.cfg") -> Path:
    """A script in a folder of its own."""
    path = folder / name
    path.write_text(text)
    return path


def test_nothing_to_say(tmp_path: Path) -> None:
    path = write(tmp_path, FINE)
    result = kahea("check", str(path))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{path}: nothing to say against it\n"


def test_an_error_with_its_line_and_a_hint(tmp_path: Path) -> None:
    path = write(tmp_path, BROKEN)
    result = kahea("check", str(path))
    assert result.returncode == 1
    assert result.stdout == (
        f"{path}:3:2: error: there is no function sl_send_replay()\n"
        '    \tsl_send_replay("200", "OK");\n'
        "    \t^~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
        "    did you mean sl_send_reply?\n"
        f"{path}: 1 error\n"
    )


def test_run_says_the_same_errors(tmp_path: Path) -> None:
    """Those of each stage of reading at once, for the names that are defined."""
    text = BROKEN.replace(");", ")\n#!ifdef MORE\n\tt_rely();\n#!endif").replace("load", "listen=1.2.3\nload", 1)
    path = write(tmp_path, text)
    for words, wanted in (((), 3), (("-A", "MORE"), 4)):
        checked = kahea("check", str(path), *words)
        ran = kahea("run", str(path), *words, "-l", "udp:127.0.0.1:0")
        assert (checked.returncode, ran.returncode) == (1, 1)
        assert checked.stdout.count(": error: ") == wanted, checked.stdout
        said = checked.stdout.removesuffix(f"{path}: {wanted} errors\n")
        assert ran.stderr == f"kahea: {said}"


@pytest.mark.parametrize(("flag", "code"), [((), 0), (("--strict",), 1), (("--warnings-as-errors",), 1)])
def test_a_warning_fails_only_if_strict(tmp_path: Path, flag: tuple[str, ...], code: int) -> None:
    result = kahea("check", *flag, str(write(tmp_path, WARNED)))
    assert result.returncode == code
    assert "kamailio.cfg:4:6: warning: this is always true" in result.stdout


def test_a_wrong_command_line(tmp_path: Path) -> None:
    assert kahea("check", str(tmp_path / "none.cfg")).returncode == 2
    assert kahea("check", "--format", "xml", str(write(tmp_path, FINE))).returncode == 2
    assert kahea("check", "-A", "=1", str(write(tmp_path, FINE))).returncode == 2
    assert kahea("check").returncode == 2


def test_as_json(tmp_path: Path) -> None:
    path = write(tmp_path, "children=4\n" + BROKEN)
    result = kahea("check", "--format", "json", str(path))
    assert result.returncode == 1
    found = json.loads(result.stdout)
    counts = {key: found[key] for key in ("version", "file", "errors", "warnings", "notes")}
    assert counts == {"version": 1, "file": str(path), "errors": 1, "warnings": 0, "notes": 1}
    note, error = found["diagnostics"]
    assert (note["level"], note["code"], note["line"]) == ("note", "no-effect", 1)
    assert error == {
        "level": "error",
        "code": "unknown-function",
        "message": "there is no function sl_send_replay()",
        "hint": "did you mean sl_send_reply?",
        "file": str(path),
        "line": 4,
        "column": 2,
        "end_line": 4,
        "end_column": 29,
        "source": '\tsl_send_replay("200", "OK");',
    }


def test_definitions(tmp_path: Path) -> None:
    path = write(tmp_path, "#!ifdef A\n" + BROKEN + "#!else\n" + FINE + "#!endif\ndebug=B\n")
    assert not report(path, {"B": "2"}).failed(strict=True)
    assert report(path, {"A": "", "B": "2"}).count(ERROR) == 1
    assert report(path, {}).count(ERROR) == 1


def test_what_is_no_utf8_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_bytes(b'# \xe9\nrequest_route {\n\tnone("\xe9");\n}\n')
    result = kahea("check", str(path))
    assert result.returncode == 1
    assert 'none("�");' in result.stdout


def test_the_marks_stand_under_what_is_wrong_in_a_terminal(tmp_path: Path) -> None:
    """Characters of two columns and of none, and those that would move the cursor."""
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_bytes('request_route { xlog("\x1b[2J\u65e5\u672ce\u0301"); nothing("\u65e5"); }\n'.encode())
    done = kahea("check", str(cfg), PYTHONIOENCODING="utf-8")
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "no function nothing" in line)
    assert lines[at + 1].startswith('    request_route { xlog("\u241b[2J\u65e5\u672ce\u0301"); nothing(')
    assert lines[at + 2] == "    " + " " * 35 + "^" + "~" * 12


def test_a_module_that_kamailio_has(tmp_path: Path) -> None:
    text = 'loadmodule "cnxcc.so"\nloadmodule "frob.so"\nrequest_route {\n\tcnxcc_terminate_all();\n}\n'
    messages = [d.message for d in report(write(tmp_path, text), {}).diagnostics]
    assert messages == [
        "Kamailio's module cnxcc is not supported yet",
        "there is no module 'frob'",
    ]


def test_a_python_script(tmp_path: Path) -> None:
    path = write(tmp_path, "import KSR\n\ndef ksr_request_route(msg):\n    if x = 1:\n        pass\n", "kahea.py")
    (found,) = report(path, {}).diagnostics
    assert (found.level, found.code, found.place.line) == (ERROR, "syntax", 4)
    write(tmp_path, "[global]\nchildren = 4\n", "kahea.toml")
    write(tmp_path, "def ksr_request_route(msg):\n    pass\n", "kahea.py")
    assert [d.level for d in report(path, {}).diagnostics] == [NOTE]
    write(tmp_path, "[global]\nchildrn = 4\n", "kahea.toml")
    assert [d.level for d in report(path, {}).diagnostics] == [ERROR]


def test_a_cfg_that_hands_over_to_python(tmp_path: Path) -> None:
    script = write(tmp_path, "def ksr_request_route(msg)\n    pass\n", "routes.py")
    text = f'loadmodule "app_python3.so"\nmodparam("app_python3", "load", "{script}")\ncfgengine "python"\n'
    found = report(write(tmp_path, text), {})
    assert [(d.level, d.code, Path(d.place.file).name) for d in found.diagnostics] == [(ERROR, "syntax", "routes.py")]


def test_notes_are_no_warnings(tmp_path: Path) -> None:
    found = report(write(tmp_path, "children=4\n" + FINE), {})
    assert (found.count(NOTE), found.count(WARNING), found.failed(strict=True)) == (1, 0, False)


def test_a_script_in_squirrel(tmp_path: Path) -> None:
    path = write(tmp_path, "function ksr_request_route() {\n\tKSR.tm.t_relayy()\n\tKSR.tm.t_relay()\n}\n", "router.sq")
    found = report(path, {})
    assert [(d.level, d.code, d.place.line, d.hint) for d in found.diagnostics] == [
        (ERROR, "unknown-function", 2, "did you mean KSR.tm.t_relay?")
    ]
    path = write(tmp_path, "function ksr_request_route() {\n\tlocal x = ;\n}\n", "router.nut")
    assert report(path, {}).text().startswith(f"{path}:2:12: error: expression expected, not ';'\n    \tlocal x = ;\n")
    path = write(tmp_path, "function ksr_request_route() { local KSR = {}; KSR.x.y() }\n", "own.sq")
    assert report(path, {}).diagnostics == []


def test_a_user_that_is_not_there(tmp_path: Path) -> None:
    cfg = write(tmp_path, '#!KAMAILIO\nuid="nobody-of-this-name"\ngroup=root\nrequest_route { exit; }\n')
    found = report(cfg, {}).diagnostics
    assert [(d.level, d.place.line, d.message) for d in found if d.level == ERROR] == [
        (ERROR, 2, "there is no user 'nobody-of-this-name'")
    ]
    script = write(tmp_path, "def ksr_request_route():\n    pass\n", "route.py")
    write(tmp_path, '[global]\ngroup = "nobody-of-this-name"\n', "kahea.toml")
    assert [d.message for d in report(script, {}).diagnostics if d.level == ERROR] == [
        "there is no group 'nobody-of-this-name'"
    ]


def test_a_cfg_that_reads_codes_is_not_converted(tmp_path: Path) -> None:
    cfg = write(tmp_path, "#!KAMAILIO\nreturn_mode=1\nrequest_route { exit; }\n")
    done = kahea("convert", str(cfg))
    assert done.returncode == 1
    assert "return_mode = 1" in done.stderr
