"""Why a REGISTER was refused: the response, and the words of P-Registrar-Error, as Kamailio has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    420: "Bad Extension",
    421: "Extension Required",
    423: "Interval Too Brief",
    439: "First Hop Lacks Outbound Support",
    500: "Server Internal Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is answered to a REGISTER. `code` is what save() returns for it."""

    status: int
    error: str = ""
    code: int = -1

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return _REASONS[self.status]


class Refused(Exception):
    """Ends the processing of a REGISTER."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.error)
        self.verdict = verdict


FINE: Final = Verdict(200, "", 1)

INVALID_CSEQ: Final = Verdict(400, "Invalid CSeq number")
BAD_AOR: Final = Verdict(400, "Error while parsing AOR")
BAD_ESCAPE: Final = Verdict(400, "Error while unescaping username")
BAD_Q: Final = Verdict(400, "Invalid q param in contact")
BAD_MESSAGE: Final = Verdict(400, "Message parse error")
BAD_EXPIRES: Final = Verdict(400, "Expires parse error")
BAD_CONTACT: Final = Verdict(400, "Contact parse error")
BAD_PATH: Final = Verdict(400, "Path parse error")
BAD_REG_ID: Final = Verdict(400, "Invalid Reg-Id number")
STAR_AND_EXPIRES: Final = Verdict(400, "* used in contact and expires is not zero")
CONTACT_TOO_LONG: Final = Verdict(400, "Contact/received too long")
CALLID_TOO_LONG: Final = Verdict(400, "Callid too long")
PATH_UNSUPPORTED: Final = Verdict(420, "No support for found Path indicated")
OUTBOUND_UNSUPPORTED: Final = Verdict(420, "No support for Outbound on server")
OUTBOUND_REQUIRED: Final = Verdict(421, "No support for Outbound indicated")
TOO_BRIEF: Final = Verdict(423, "Interval too brief")
EDGE_LACKS_OUTBOUND: Final = Verdict(439, "No support for Outbound on edge proxy")
AOR_TOO_LONG: Final = Verdict(500, "Address Of Record too long")
CANNOT_READ: Final = Verdict(500, "usrloc_record_get failed")
CANNOT_DELETE_RECORD: Final = Verdict(500, "usrloc_record_delete failed")
#: By the kind of the change (`usrloc.domain.INSERT`, `UPDATE`, `DELETE`).
CANNOT_WRITE: Final = (
    Verdict(500, "usrloc_contact_insert failed"),
    Verdict(500, "usrloc_contact_update failed"),
    Verdict(500, "usrloc_contact_delete failed"),
)
TOO_MANY: Final = Verdict(503, "Too many registered contacts", -2)
