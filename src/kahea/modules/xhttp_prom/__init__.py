"""Module xhttp_prom: metrics for Prometheus, over the HTTP of module xhttp."""

from kahea.modules.xhttp_prom.module import XhttpProm

MODULE = XhttpProm

__all__ = ["MODULE", "XhttpProm"]
