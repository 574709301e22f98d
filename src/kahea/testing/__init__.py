"""The real engine on a virtual clock and a virtual network, for tests of routing scripts.

A `Simulation` (in pytest: the fixture `kahea`) has nodes that run scripts, user agents, and the network
between them; 32 seconds of timers pass at once. The guide is `docs/testing.md`.
"""

from kahea.testing.calls import Call, IncomingCall
from kahea.testing.clock import Stuck
from kahea.testing.dns import VirtualDns
from kahea.testing.message import SipMessage, param, reply_to, split_list, uri_of
from kahea.testing.network import Conditions, Network, Packet
from kahea.testing.simulation import ScriptFailed, Simulation, VirtualNode
from kahea.testing.useragent import Exchange, Unexpected, UserAgent, cancel_of, failure_ack

__all__ = [
    "Call",
    "Conditions",
    "Exchange",
    "IncomingCall",
    "Network",
    "Packet",
    "ScriptFailed",
    "Simulation",
    "SipMessage",
    "Stuck",
    "Unexpected",
    "UserAgent",
    "VirtualDns",
    "VirtualNode",
    "cancel_of",
    "failure_ack",
    "param",
    "reply_to",
    "split_list",
    "uri_of",
]
