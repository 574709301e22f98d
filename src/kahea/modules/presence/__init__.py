"""Module presence: a server of presence and other state (RFC 3856, 3857, 3903, 6665), in memory and in a database.

| file | what |
|---|---|
| `events.py` | event packages: what documents of one are, and how several become one |
| `publications.py`, `subscriptions.py`, `subscription.py` | what is published, and who watches |
| `publish.py`, `subscribe.py`, `requests.py` | the requests |
| `notifier.py`, `winfo.py` | NOTIFYs, and documents that tell who watches |
| `turns.py` | one piece of work at a time for each presentity |
| `upkeep.py`, `authorize.py`, `management.py` | what ends by itself; other rules and their watchers; the commands |
| `store.py`, `tables.py`, `kept.py` | the database; imported only where there is one |
| `server.py`, `parameters.py`, `variables.py`, `module.py` | the module |
"""

from kahea.modules.presence.module import Presence

MODULE = Presence
