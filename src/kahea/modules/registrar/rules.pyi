"""Types of the registrar's compiled parameters."""

from kahea.modules.registrar.functions import Registrar

class Rules:
    """The parameters of a registrar, `read` anew when they have changed, and its location tables."""

    def __init__(self, module: Registrar) -> None: ...
    def start(self) -> None:
        """Bind to module usrloc."""
    def read(self) -> None:
        """Take over the parameters, which have changed."""
