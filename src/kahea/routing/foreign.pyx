# cython: language_level=3
"""Functions as scripts in other languages than Python call them: with a tuple of values, of whatever types the language
made, of which KEMI makes what the function takes.

Kamailio's engines are lenient here, and so is this: a value of the wrong type becomes the nearest one by the
language's own rules (`to_int`, `to_str`), arguments too many are ignored, and only too few of them refuse the call.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject

import logging

from kahea.routing.dispatch cimport Current, Run

from kahea.routing import dispatch as _dispatch
from kahea.routing.dispatch import NoRun
from kahea.sip.errors import ParseError

cdef extern from "Python.h":
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    object PyObject_Vectorcall(PyObject* f, PyObject** args, size_t n, PyObject* names)
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)
    object PyUnicode_AsEncodedString(object text, const char* encoding, const char* errors)
    bint PyUnicode_IS_ASCII(object text)

cdef enum:
    MOST = 16  # arguments of one function

log = logging.getLogger("kahea.script")
cdef Current _current = _dispatch.current


cdef object from_latin(object value):
    return value.encode("latin-1").decode("utf-8", "surrogateescape")


cdef object to_latin(object value):
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


class TooFewArguments(TypeError):
    """A function was called with fewer arguments than it takes."""


cdef class Foreign:
    """One function of the registry, called by `call(values)`: what the run in progress makes of it.

    With `as_bytes`, texts come and go as bytes; with `as_latin`, as texts with a character for each byte. `to_int(value, where)` and `to_str(value, where)` make what is taken of
    a value of another type. `nothing` is what a function without result gives.
    """

    cdef object f
    cdef readonly str where
    cdef readonly Py_ssize_t count
    cdef bint as_bytes
    cdef bint as_latin
    cdef bint to_bool
    cdef bint is_number
    cdef bint is_void
    cdef object to_int
    cdef object to_str
    cdef object failed
    cdef object nothing
    cdef bint ints[MOST]

    def __init__(self, function, bint as_bytes, to_int, to_str, nothing, bint as_latin=False):
        cdef Py_ssize_t i
        group = f"{function.module}." if function.module else ""
        self.where = f"KSR.{group}{function.name}"
        self.count = len(function.params)
        if self.count > MOST:
            raise TypeError(f"{self.where} has too many parameters")
        for i, kind in enumerate(function.params):
            self.ints[i] = kind in ("int", "long")
        self.f = function.call
        self.as_bytes = as_bytes
        self.as_latin = as_latin
        self.to_bool = function.ret == "bool"
        self.is_number = function.ret == "int"
        self.is_void = function.ret == "none"
        self.to_int = to_int
        self.to_str = to_str
        self.failed = {"int": -1, "bool": False, "xval": None, "none": nothing}[function.ret]
        self.nothing = nothing

    def __call__(self, *values):
        """As `call`; false for too few arguments, which the log tells."""
        if len(values) < self.count:
            log.error("%s takes %d argument%s, not %d", self.where, self.count, "" if self.count == 1 else "s", len(values))
            return False
        return self.call(values)

    cpdef object call(self, tuple values, Py_ssize_t first=0):
        """Call it with the values from `first` on. Raises TooFewArguments, and what the function raises."""
        cdef PyObject* stack[MOST + 2]
        cdef Run run = _current.run
        cdef Py_ssize_t i
        cdef list kept = None
        if run is None:
            raise NoRun(f"{self.where} was called outside of a running route")
        if len(values) - first < self.count:
            raise TooFewArguments(f"{self.where} takes {self.count} argument{'' if self.count == 1 else 's'}, "
                                  f"not {len(values) - first}")
        stack[1] = <PyObject*>run
        for i in range(self.count):
            value = values[first + i]
            if self.ints[i]:
                if type(value) is not int:
                    value = self.to_int(value, self.where)
            elif type(value) is bytes:
                value = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), b"surrogateescape")
            elif type(value) is not str:
                value = self.to_str(value, self.where)
            elif self.as_latin and not PyUnicode_IS_ASCII(value):
                value = from_latin(value)
            if kept is None:
                kept = [value]
            else:
                kept.append(value)
            stack[2 + i] = <PyObject*>value
        try:
            result = PyObject_Vectorcall(
                <PyObject*>self.f, &stack[1], <size_t>(1 + self.count) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL
            )
        except ParseError as error:
            log.info("%s: %s", self.where, error)
            return self.failed
        return self.give(result)

    cdef object give(self, object result):
        """A result as the language gets it."""
        if self.is_void:
            return self.nothing
        if self.to_bool:
            return True if result else False
        if self.is_number and type(result) is bool:
            return 1 if result else 0
        if type(result) is str:
            if self.as_bytes:
                return PyUnicode_AsEncodedString(result, b"utf-8", b"surrogateescape")
            if self.as_latin and not PyUnicode_IS_ASCII(result):
                return to_latin(result)
        return result
