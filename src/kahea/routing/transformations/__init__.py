"""What may stand in braces after a variable: `$(ru{uri.user}{s.len})`. `STANDARD` are those of modules pv,
textops and corex; other modules register theirs in the node's `VariableTable`."""

from kahea.routing.pv.chain import Transformation
from kahea.routing.transformations.codes import CODES
from kahea.routing.transformations.descriptions import described
from kahea.routing.transformations.escapes import ESCAPES
from kahea.routing.transformations.params import PARAMS
from kahea.routing.transformations.strings import STRINGS
from kahea.routing.transformations.substitution import SUBSTITUTION
from kahea.routing.transformations.uris import URIS

STANDARD: tuple[Transformation, ...] = described((*STRINGS, *CODES, *ESCAPES, *PARAMS, *URIS, *SUBSTITUTION))

__all__ = ["STANDARD", "Transformation"]
