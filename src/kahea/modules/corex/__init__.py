"""What belongs to the core but came to Kamailio as a module: branches, sockets, raw sending, Via, files."""

from __future__ import annotations

from kahea.modules.corex.admin import Administration
from kahea.modules.corex.branches import Branches
from kahea.modules.corex.files import Files
from kahea.modules.corex.internal import InternalFlags
from kahea.modules.corex.network import NetworkData
from kahea.modules.corex.sending import Sending
from kahea.modules.corex.sockets import Sockets
from kahea.modules.corex.via import ViaParts


class Corex(Branches, Sockets, Sending, ViaParts, Files, InternalFlags, NetworkData, Administration):
    """Extensions of the core."""

    name = "corex"


MODULE = Corex

__all__ = ["MODULE", "Corex"]
