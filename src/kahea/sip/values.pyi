"""Types of the values in headers. They stand in `message.pyi`, where all rooms above import them from."""

from kahea.sip.message import NameAddr as NameAddr
from kahea.sip.message import Target as Target
from kahea.sip.message import Via as Via
from kahea.sip.message import parse_name_addr as parse_name_addr
from kahea.sip.message import parse_name_addrs as parse_name_addrs
from kahea.sip.message import parse_via as parse_via
from kahea.sip.message import split_list as split_list
