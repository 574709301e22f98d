"""What the process does to itself: its limits, its user and group, and the file that tells its number."""

from __future__ import annotations

import grp
import os
import pwd
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kahea.routing.settings import ConfigError, Settings


def limit(settings: Settings) -> None:
    """Raise the limit of open files, and leave no core file, as the settings say. Raises ConfigError."""
    if settings.disable_core_dump:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = settings.open_files_limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted <= soft:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (OSError, ValueError) as error:
        raise ConfigError(f"open_files_limit: can't be raised from {soft} to {wanted}: {error}") from error


def become(settings: Settings) -> None:
    """Take on the user and group of the settings for good. Raises ConfigError."""
    if not settings.user and not settings.group:
        return
    uid, gid, name = _user(settings.user)
    if settings.group:
        gid = _group(settings.group)
    try:
        if os.geteuid() == 0 and name:
            os.initgroups(name, gid)
        if gid != os.getegid():
            os.setgid(gid)
        if uid != os.geteuid():
            os.setuid(uid)
    except OSError as error:
        who = " ".join(
            f"{what} {value}" for what, value in (("user", settings.user), ("group", settings.group)) if value
        )
        raise ConfigError(f"can't become {who}: {error.strerror}") from error


def _user(text: str) -> tuple[int, int, str]:
    """Number, group and name of a user; those of now for "". Raises ConfigError."""
    if not text:
        return os.geteuid(), os.getegid(), ""
    try:
        found = pwd.getpwuid(int(text)) if text.isdigit() else pwd.getpwnam(text)
    except KeyError:
        if text.isdigit():
            return int(text), os.getegid(), ""
        raise ConfigError(f"user: there is no user {text!r}") from None
    return found.pw_uid, found.pw_gid, found.pw_name


def _group(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigError(f"group: there is no group {text!r}") from None


@contextmanager
def number_in(path: Path | None, number: int) -> Iterator[None]:
    """Keep the number of the process, or of its group, in a file while it runs. Raises ConfigError where it can't be
    written."""
    if path is None:
        yield
        return
    try:
        path.write_text(f"{number}\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        yield
    finally:
        # Another user than the one who wrote it may not remove it.
        with suppress(OSError):
            path.unlink()
