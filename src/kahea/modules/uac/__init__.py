"""Acting as a user agent (Kamailio's module uac).

| file | what |
|---|---|
| `cookie.py` | the Record-Route parameter that the other address can be worked out from |
| `rewriting.py` | other From and To towards the far end, and back |
| `requests.py` | `$uac_req` and `uac_req_send` |
| `answering.py` | digest challenges answered |
| `authentication.py` | `uac_auth`: credentials for a request that was challenged |
| here | the module |

Not built yet: registering with other servers (`uac_reg_...`).
"""

from __future__ import annotations

from typing import ClassVar

from kahea.modules.uac.authentication import Authentication
from kahea.modules.uac.requests import Requests
from kahea.modules.uac.rewriting import Rewriting


class Uac(Rewriting, Requests, Authentication):
    """Acting as a user agent: requests of the script, From and To rewritten, challenges answered."""

    name = "uac"
    events: ClassVar = {"uac:reply": "The reply to a request of `uac_req_send()` has come, or none will."}
    needs = ("tm", "rr")

    def start(self) -> None:
        """Check the parameters, and follow the routes of dialogs."""
        self.start_rewriting()
        self.start_requests()
        self.start_authentication()


MODULE = Uac
