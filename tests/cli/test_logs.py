"""Where the log goes, and what stands before its lines."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kahea.cli import logs
from kahea.routing.lines import write_line
from kahea.routing.log_prefix import LogPrefix
from kahea.routing.settings import ConfigError, Settings
from kahea.routing.verbosity import NOTICE
from kahea.testing import Simulation

CFG = """#!KAMAILIO
debug=2
log_prefix="{$mt $hdr(CSeq) $rU $var(x)} "
log_prefix_mode=MODE
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
request_route {
    $var(x) = "before";
    xlog("L_ERR", "one\\n");
    $ru = "sip:changed@example.com";
    $var(x) = "after";
    xlog("L_ERR", "two\\n");
    sl_send_reply("200", "OK");
}
"""


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, which is put back as it was."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    flags = logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    yield logger
    for handler in logger.handlers:
        if handler not in handlers:
            handler.close()
    logger.handlers[:], logger.level = handlers, level
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = flags


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        # As Kamailio, but that it evaluates mode 0 before the route, and we with the first line.
        (0, ["{1 1 OPTIONS x before} <script>: one", "{1 1 OPTIONS x before} <script>: two"]),
        (1, ["{1 1 OPTIONS x before} <script>: one", "{1 1 OPTIONS changed after} <script>: two"]),
    ],
)
def test_a_prefix_of_lines_about_messages(mode: int, wanted: list[str]) -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    simulation = Simulation()
    simulation.node(CFG.replace("MODE", str(mode)), "udp:10.0.0.9:5060")
    handler = Lines()
    handler.addFilter(LogPrefix())
    logging.getLogger("kahea.script").addHandler(handler)
    try:
        simulation.ua("alice").options("sip:x@example.com")
    finally:
        logging.getLogger("kahea.script").removeHandler(handler)
        simulation.close(check=False)
    assert lines == wanted


def test_a_prefix_that_is_none() -> None:
    with Simulation() as simulation, pytest.raises(ConfigError, match=r"log_prefix: .*nosuch"):
        simulation.node(CFG.replace("MODE", "0").replace("$rU", "$nosuch"), "udp:10.0.0.9:5060")


def test_lines_on_stderr(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    assert logs.set_up(Settings(debug=1)) == ""
    logging.getLogger("kahea.script").log(NOTICE, "text\n")
    logging.getLogger("kahea.script").info("too much")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} NOTICE kahea\.script: text\n", capsys.readouterr().err)


def test_finished_lines_on_stderr(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They look as records do, and do not become any: a record would raise here."""
    logs.set_up(Settings(debug=1))
    monkeypatch.setattr(logging.Logger, "log", None)
    write_line(logging.getLogger("kahea.acc"), NOTICE, "ACC\n", "LOG_DAEMON")
    write_line(logging.getLogger("kahea.acc"), logging.INFO, "too much")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} NOTICE kahea\.acc: ACC\n", capsys.readouterr().err)


def test_finished_lines_are_records_for_other_handlers(root: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    write_line(logging.getLogger("kahea.acc"), logging.ERROR, "100 %s", "LOG_DAEMON")
    (record,) = caplog.records
    assert (record.getMessage(), record.facility) == ("100 %s", "LOG_DAEMON")  # type: ignore[attr-defined]


def test_a_traceback_on_stderr(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Settings())
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("kahea.script").exception("failed")
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} ERROR kahea\.script: failed", lines[0])
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "ValueError: why"


def test_the_time_goes_on(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """It is written once for the lines of a second, and anew for the next."""
    logs.set_up(Settings())
    record = logging.makeLogRecord({"name": "kahea", "levelno": logging.WARNING, "levelname": "WARNING", "msg": "x"})
    for created in (1.25, 1.5, 2.0):
        record.created, record.msecs = created, created % 1 * 1000
        root.handle(record)
    times = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert [time[-6:] for time in times] == ["01.250", "01.500", "02.000"]


def test_lines_in_syslog(root: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    monkeypatch.setattr(logs, "SYSLOG", path)
    settings = Settings(debug=2, log_stderror=False, log_facility="LOG_LOCAL0", log_name="proxy")
    assert "there is no" in logs.set_up(settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(path))
        system.settimeout(5)
        assert "goes to syslog (LOG_LOCAL0)" in logs.set_up(settings)
        logging.getLogger("kahea.script").warning("text")
        # The facility's number times eight, and the severity's.
        assert re.fullmatch(rb"<132>proxy\[\d+\]: WARNING: kahea\.script: text\0", system.recv(999))
        logging.getLogger("kahea.acc").log(NOTICE, "ACC", extra={"facility": "LOG_DAEMON"})
        assert re.fullmatch(rb"<29>proxy\[\d+\]: NOTICE: kahea\.acc: ACC\0", system.recv(999))
        write_line(logging.getLogger("kahea.acc"), NOTICE, "ACC", "LOG_DAEMON")
        assert re.fullmatch(rb"<29>proxy\[\d+\]: NOTICE: kahea\.acc: ACC\0", system.recv(999))
        write_line(logging.getLogger("kahea.acc"), NOTICE, "ACC")
        assert system.recv(999).startswith(b"<133>")


def test_facilities_are_known() -> None:
    settings = Settings()
    settings.set("log_facility", "LOCAL3")
    assert settings.log_facility == "LOG_LOCAL3"
    with pytest.raises(ConfigError, match="there is no facility 'LOG_LOCAL9'"):
        settings.set("log_facility", "LOG_LOCAL9")
