"""Acting as a user agent (Kamailio's module uac).

| file | what |
|---|---|
| `cookie.py` | the Record-Route parameter that the other address can be worked out from |
| `rewriting.py` | other From and To towards the far end, and back |
| `requests.py` | `$uac_req` and `uac_req_send` |
| `answering.py` | digest challenges answered |
| `authentication.py` | `uac_auth`: credentials for a request that was challenged |
| `account.py`, `store.py` | accounts with other servers, and the table that they are in |
| `registration.py` | the state of registrations with other servers |
| `registering.py` | REGISTERs, and what comes of them |
| `accounts.py` | `uac_reg_...`, and the commands on registrations |
| here | the module |
"""

from __future__ import annotations

from typing import ClassVar

from kahea.modules.uac.accounts import Accounts
from kahea.modules.uac.requests import Requests
from kahea.modules.uac.rewriting import Rewriting


class Uac(Rewriting, Requests, Accounts):
    """Acting as a user agent: requests of the script, From and To rewritten, challenges answered,
    accounts registered with other servers."""

    name = "uac"
    events: ClassVar = {"uac:reply": "The reply to a request of `uac_req_send()` has come, or none will."}
    needs = ("tm", "rr")

    def start(self) -> None:
        """Check the parameters, and follow the routes of dialogs."""
        self.start_rewriting()
        self.start_requests()
        self.start_authentication()
        self.start_registering()


MODULE = Uac
