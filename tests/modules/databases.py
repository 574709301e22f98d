"""Real databases for tests: PostgreSQL, MariaDB and Redis, each with a folder, a port and a process of its own.

Each can be killed and started again on the same data. As root, those that refuse to run as root run as the user that
Debian made for them.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.ports import free_port

PATIENCE = 20.0


def _tool(name: str, *folders: str) -> str | None:
    found = shutil.which(name)
    if found is None:
        for pattern in ("usr/lib/postgresql/*/bin", "usr/sbin", *folders):
            for path in sorted(Path("/").glob(f"{pattern}/{name}"), reverse=True):
                return str(path)
    return found


class Engine:
    """A database server; `url` is what a node and Kamailio are told."""

    name = ""
    tools: Sequence[str] = ()
    user = ""

    def __init__(self) -> None:
        for tool in self.tools:
            if _tool(tool) is None:
                pytest.skip(f"needs {tool} from Debian's package of {self.name}")
        # Not pytest's own folder, which other users may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix=f"kahea-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._other_user() is not None:
            shutil.chown(self.folder, self.user, self.user)
        try:
            self.create()
            self.start()
            self.populate()
        except BaseException:
            self.remove()
            raise

    def _other_user(self) -> str | None:
        if os.geteuid() != 0 or not self.user:
            return None
        try:
            pwd.getpwnam(self.user)
        except KeyError:
            pytest.skip(f"{self.name} does not run as root, and there is no user {self.user}")
        return self.user

    def run(self, *command: str) -> None:
        """Run a tool as the server's user to its end."""
        done = subprocess.run(
            [_tool(command[0]) or command[0], *command[1:]],
            user=self._other_user(), group=self._other_user(), extra_groups=[] if self._other_user() else None,
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout[-1000:]}{done.stderr[-1000:]}")

    def command(self) -> list[str]:
        """What starts the server in the foreground."""
        raise NotImplementedError

    def create(self) -> None:
        """Make what it starts with."""

    def populate(self) -> None:
        """Make the database, once it runs."""

    def is_up(self) -> bool:
        """Whether it serves."""
        raise NotImplementedError

    def start(self) -> None:
        """Start, and wait until it serves."""
        command = self.command()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_tool(command[0]) or command[0], *command[1:]],
                user=self._other_user(), group=self._other_user(), extra_groups=[] if self._other_user() else None,
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.is_up():
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """SIGKILL to the server and what it has forked, which is a session of its own."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Engine):
    """PostgreSQL, with a database `kamailio`."""

    name = "postgresql"
    tools = ("initdb", "postgres", "psql")
    user = "postgres"

    @property
    def url(self) -> str:
        return f"postgres://kamailio:x@127.0.0.1:{self.port}/kamailio"

    def create(self) -> None:
        self.run(
            "initdb", "-D", f"{self.folder}/data", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust",
            "-U", "kamailio",
        )  # fmt: skip

    def command(self) -> list[str]:
        where = ["-D", f"{self.folder}/data", "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        return ["postgres", *where, "-F", "-c", "timezone=UTC"]

    def is_up(self) -> bool:
        return self._sql("select 1", "postgres").returncode == 0

    def populate(self) -> None:
        self._sql("create database kamailio", "postgres")

    def _sql(self, statement: str, database: str) -> subprocess.CompletedProcess[str]:
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "kamailio", "-tAc", statement, database]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def sql(self, statement: str) -> str:
        """What a statement prints."""
        done = self._sql(statement, "kamailio")
        assert not done.returncode, done.stderr
        return done.stdout.strip()


class MariaDb(Engine):
    """MariaDB, with a database `kamailio`."""

    name = "mariadb"
    tools = ("mariadb-install-db", "mariadbd", "mariadb")
    user = "mysql"

    @property
    def url(self) -> str:
        return f"mysql://kamailio:pw@127.0.0.1:{self.port}/kamailio"

    def create(self) -> None:
        (self.folder / "my.cnf").write_text(
            f"[mysqld]\ndatadir={self.folder}/data\nsocket={self.folder}/socket\nport={self.port}\n"
            f"pid-file={self.folder}/pid\nbind-address=127.0.0.1\ninnodb_log_file_size=4M\n"
            "innodb_buffer_pool_size=16M\ninnodb_flush_log_at_trx_commit=2\ncharacter-set-server=utf8mb4\n"
            "skip-name-resolve\nskip-log-bin\nperformance_schema=off\n"
        )
        (self.folder / "my.cnf").chmod(0o644)
        self.run(
            "mariadb-install-db", f"--defaults-file={self.folder}/my.cnf", "--skip-test-db",
            "--auth-root-authentication-method=normal",
        )  # fmt: skip

    def command(self) -> list[str]:
        return ["mariadbd", f"--defaults-file={self.folder}/my.cnf"]

    def is_up(self) -> bool:
        return self._sql("select 1", "").returncode == 0

    def populate(self) -> None:
        self._sql(
            "create database kamailio character set utf8mb4; create user kamailio@'127.0.0.1' identified by 'pw'; "
            "grant all on kamailio.* to kamailio@'127.0.0.1'",
            "",
        )

    def _sql(self, statement: str, database: str) -> subprocess.CompletedProcess[str]:
        command = ["mariadb", "--no-defaults", "-S", f"{self.folder}/socket", "-u", "root", "-N", "-e", statement]
        command += [database] if database else []
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def sql(self, statement: str) -> str:
        """What a statement prints."""
        done = self._sql(statement, "kamailio")
        assert not done.returncode, done.stderr
        return done.stdout.strip()


class Redis(Engine):
    """Redis, which forgets all when it is killed."""

    name = "redis"
    tools = ("redis-server", "redis-cli")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir",
                str(self.folder), "--unixsocket", f"{self.folder}/socket"]  # fmt: skip

    def is_up(self) -> bool:
        return self._cli("ping").stdout.strip() == "PONG"

    def _cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def cli(self, *words: str) -> str:
        """What a command prints."""
        return self._cli(*words).stdout.strip()


@contextlib.contextmanager
def running(kind: type[Engine]) -> Iterator[Engine]:
    """A server for as long as it is wanted."""
    made = kind()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Engine]:
    """One PostgreSQL for all tests."""
    with running(Postgres) as made:
        yield made


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Engine]:
    """One MariaDB for all tests."""
    with running(MariaDb) as made:
        yield made


@pytest.fixture(scope="session")
def redis() -> Iterator[Engine]:
    """One Redis for all tests."""
    with running(Redis) as made:
        yield made
