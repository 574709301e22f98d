"""The commands of module presence."""

from __future__ import annotations

from typing import Any

from kahea.modules.presence import publications
from kahea.modules.presence.authorize import RULES_CHANGED, Failed
from kahea.modules.presence.variables import Variables
from kahea.routing.module import RpcError, rpc
from kahea.routing.text import text


class Management(Variables):
    """What management can ask and do."""

    @rpc("presence.cleanup")
    def rpc_cleanup(self) -> str:
        """End publications and subscriptions whose time is over, and have changes written."""
        self.clean_publications()
        self.clean_subscriptions()
        return "Reload OK"

    @rpc("presence.refreshWatchers")
    def rpc_refresh_watchers(
        self, uri: str = "", event: str = "", type: int = -1, file_uri: str = "", filename: str = ""
    ) -> None:
        """Tell the watchers of `uri` of a change: `type` 0 of its rules, 1 of its state, by another hand."""
        if not uri or not event or type < 0:
            raise RpcError(500, "Not enough parameters")
        self._tell_all("Execution failed", uri, event, type, file_uri, filename)

    @rpc("presence.updateWatchers")
    def rpc_update_watchers(self, uri: str = "", event: str = "") -> None:
        """As the rules of `uri` have changed, decide anew of its watchers, and tell those of whom it is another."""
        if not uri or not event:
            raise RpcError(500, "Not enough parameters")
        self._tell_all("Processing error", uri, event, RULES_CHANGED, "", "")

    def _tell_all(self, failed: str, uri: str, event: str, kind: int, file_uri: str, filename: str) -> None:
        try:
            self.refresh(uri, event, kind, file_uri, filename)
        except Failed as error:
            raise RpcError(500, str(error) if "file uri" in str(error) else f"{failed}: {error}") from error

    @rpc("presence.presentity_list")
    def rpc_presentity_list(self, mode: str = "") -> list[dict[str, Any]]:
        """Publications in memory (`publ_cache` 2); with "full", all of each."""
        if not isinstance(self.publications, publications.Memory):
            return []
        return [self._described(each, full=mode == "full") for each in reversed(self.publications.every())]

    def _described(self, publication: publications.Publication, *, full: bool) -> dict[str, Any]:
        user, domain, event = publication.presentity
        shown: dict[str, Any] = {
            "user": user,
            "domain": domain,
            "event": event,
            "etag": publication.etag,
            "sender": publication.sender,
            "expires": publication.expires,
        }
        if full:
            shown |= {
                "received_time": publication.received,
                "priority": publication.priority,
                "ruid": publication.ruid,
                "body": text(publication.body),
            }
        return shown


__all__ = ["Management"]
