"""The global parameter `log_prefix`: what stands before each log line that is written while a message is handled.

It is evaluated when a message's first line is written, and kept for its others, or with `log_prefix_mode=1` for each
line. (Kamailio evaluates it when the message comes in, log lines or not: a prefix of what routes change, such as `$ru`,
may differ.)
"""

from __future__ import annotations

import logging
from typing import Final

from kahea.routing.run import Run, current

_FACET: Final = "log_prefix"


class LogPrefix(logging.Filter):
    """Puts the prefix before the lines of a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True; changes the record's message."""
        run = current.run
        if run is not None and (prefix := prefix_of(run)):
            record.msg, record.args = prefix + record.getMessage(), None
        return True


def prefixed(text: str) -> str:
    """A line with the prefix of the run in progress."""
    run = current.run
    return text if run is None or not run.node.settings.log_prefix else prefix_of(run) + text


def prefix_of(run: Run) -> str:
    """The prefix for lines of a run, "" without one."""
    settings = run.node.settings
    text = settings.log_prefix
    if not text:
        return ""
    # A transaction's messages share what is kept with them.
    facets, about = run.msg.facets, run.msg.id
    kept = facets.get(_FACET)
    if isinstance(kept, tuple) and kept[0] == about and (settings.log_prefix_mode == 0 or not kept[1]):
        return str(kept[1])
    facets[_FACET] = (about, "")  # what the variables themselves log has none
    prefix: str = run.node.variables.format(text).render(run)
    facets[_FACET] = (about, prefix)
    return prefix
