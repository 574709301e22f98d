"""Text operations over the message: search, replace, substitute, headers, bodies, comparing texts.

Functions read the message as it was received; what they change shows in what is sent. The exceptions are
`subst_uri` and `subst_user`, whose change shows at once. Regular expressions are POSIX extended ones
(`routing/regex.py`).
"""

from kahea.modules.textops.adding import Adding
from kahea.modules.textops.bodies import Bodies
from kahea.modules.textops.headers import Headers
from kahea.modules.textops.methods import Methods
from kahea.modules.textops.multipart import Multipart
from kahea.modules.textops.search import Search
from kahea.modules.textops.strings import Strings
from kahea.modules.textops.substitution import Substitutions


class Textops(Methods, Search, Substitutions, Headers, Adding, Bodies, Multipart, Strings):
    """Text operations on the message: search, replace, headers, bodies, comparing texts."""

    name = "textops"


MODULE = Textops

__all__ = ["MODULE", "Textops"]
