"""Pseudo-variables: `$ru`, `$(hdr(Via)[1]{s.len})`, and text with such in it, compiled to closures."""

from kahea.routing.pv.errors import PvError
from kahea.routing.pv.format import Format
from kahea.routing.pv.table import Bound, Named, Plain, Pv, VariableTable, named, plain

__all__ = ["Bound", "Format", "Named", "Plain", "Pv", "PvError", "VariableTable", "named", "plain"]
