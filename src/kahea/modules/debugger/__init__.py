"""Module `debugger`: traces and breakpoints for the native language, dumps of variables and messages, log levels."""

from kahea.modules.debugger.module import Debugger

MODULE = Debugger

__all__ = ["MODULE", "Debugger"]
