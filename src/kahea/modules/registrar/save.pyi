"""Types of the compiled save()."""

from kahea.modules.registrar.answer import Answer
from kahea.modules.registrar.rules import Rules
from kahea.routing.run import Run
from kahea.sip.message import Message

class Saver:
    """save() of one registrar."""

    def __init__(self, rules: Rules) -> None: ...
    @property
    def accepted(self) -> int:
        """REGISTERs that were not refused."""
    @property
    def rejected(self) -> int:
        """REGISTERs that were."""
    def start(self) -> None:
        """Bind to module sl."""
    def save(self, run: Run, table: str, flags: int) -> int:
        """See `Registrar.save`."""
    def save_uri(self, run: Run, table: str, flags: int, uri: str) -> int:
        """See `Registrar.save_uri`."""
    def send_answer(self, run: Run, answer: Answer) -> int:
        """Send an answer; > 0 if it was sent."""
    def override_q(self, msg: Message, q: bytes) -> None:
        """Have save() give all contacts of this REGISTER this q. Raises Refused for what is no q-value."""

class Save:
    """One call of save()."""
