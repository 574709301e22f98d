"""Types of the compiled parameters of save()."""

from kahea.modules.registrar.answer import Answer
from kahea.modules.registrar.functions import Registrar
from kahea.routing.run import Run

class SaveRules:
    """The parameters, `read` anew when they have changed, and what save() needs of the modules beside."""

    def __init__(self, module: Registrar) -> None: ...
    @property
    def accepted(self) -> int:
        """REGISTERs that were not refused."""
    @property
    def rejected(self) -> int:
        """REGISTERs that were."""
    def start(self) -> None:
        """Bind to the modules beside."""
    def read(self) -> None:
        """Take over the parameters, which have changed."""
    def send_answer(self, run: Run, answer: Answer) -> int:
        """Send an answer; > 0 if it was sent."""
