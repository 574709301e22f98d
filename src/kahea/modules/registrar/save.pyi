"""Types of the compiled save()."""

from kahea.modules.registrar.rules import SaveRules
from kahea.routing.run import Run
from kahea.sip.message import Message

class Saver(SaveRules):
    """save() of one registrar."""

    def save(self, run: Run, table: str, flags: int) -> int:
        """See `Registrar.save`."""
    def save_uri(self, run: Run, table: str, flags: int, uri: str) -> int:
        """See `Registrar.save_uri`."""
    def override_q(self, msg: Message, q: bytes) -> None:
        """Have save() give all contacts of this REGISTER this q. Raises Refused for what is no q-value."""

class Save:
    """One call of save()."""
