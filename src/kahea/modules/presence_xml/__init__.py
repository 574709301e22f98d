"""Module presence_xml: the event packages whose documents are XML, for module presence.

| file | what |
|---|---|
| `documents.py` | XML from the network, within bounds |
| `pidf.py` | presence documents: merged, and ended |
| `packages.py` | the event packages |
| `rules.py`, `xcap.py` | who may see what, and where that is kept |
| `module.py` | the module |
"""

from kahea.modules.presence_xml.module import PresenceXml

MODULE = PresenceXml
