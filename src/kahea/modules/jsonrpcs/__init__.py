"""Module jsonrpcs: management by JSON-RPC, over HTTP, a FIFO, datagrams and TCP, and from the script itself."""

from kahea.modules.jsonrpcs.module import Jsonrpcs

MODULE = Jsonrpcs

__all__ = ["MODULE", "Jsonrpcs"]
