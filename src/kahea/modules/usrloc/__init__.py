"""Module usrloc: where users are (RFC 3261 §10), in memory and in a database.

| file | what |
|---|---|
| `contact.pyx` | a contact, and what a REGISTER says of its contacts |
| `domain.pyx` | a table: which contact is meant, in which order they are tried |
| `notation.py` | how Kamailio writes what concerns contacts |
| `expiry.py` | when contacts end |
| `locations.py` | the tables of a node: loaded, written, expired |
| `keepalive.py` | requests that keep the way to contacts open |
| `rpc.py` | the commands, and the module |
| `parameters.py` | the parameters |
| `tables.py`, `store.py`, `journal.py`, `remote.py` | the database; imported only where there is one |
"""

from kahea.modules.usrloc.rpc import Usrloc

MODULE = Usrloc
