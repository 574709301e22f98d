"""Types of the compiled reading of REGISTERs."""

from typing import Final

from kahea.sip.uri import Uri

#: The bits of methods in `methods` columns.
METHOD_BITS: Final[dict[bytes, int]]
OTHER_METHOD: Final[int]

class Wanted:
    """One contact of the REGISTER, checked."""

class ContactParams:
    """The parameters of a Contact that a registrar reads."""

class AorRules:
    """How an AOR is made from a URI: the parameters of both modules."""

    def __init__(self, use_domain: bool, case_sensitive: bool, realm_prefix: bytes) -> None: ...
    @property
    def use_domain(self) -> bool: ...
    @property
    def case_sensitive(self) -> bool: ...
    def aor(self, uri: Uri) -> bytes:
        """The AOR that a URI names. Raises Refused."""
    def parse(self, data: bytes) -> bytes:
        """The AOR of a URI's text. Raises Refused."""

def parse_q(value: bytes) -> int:
    """A q-value in thousandths. Raises Refused."""

def method_bit(name: bytes) -> int:
    """The bit of a method in `methods` columns."""

def method_mask(text: bytes) -> int:
    """The bits of a list of methods; -1 for what is no list."""
