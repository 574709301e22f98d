"""More text operations: applying edits, a reply's status, header values, iterators over headers and lines."""

from kahea.modules.textopsx.iterators import Iterators
from kahea.modules.textopsx.message import Whole
from kahea.modules.textopsx.values import Values


class Textopsx(Whole, Values, Iterators):
    """More text operations: applying edits, a reply's status, values of headers, iterators."""

    name = "textopsx"


MODULE = Textopsx

__all__ = ["MODULE", "Textopsx"]
