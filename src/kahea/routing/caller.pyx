# cython: language_level=3
"""Functions as a script calls them: each a built-in function to the interpreter, so that a call costs no frame.

A caller adds the run in progress, checks and converts the arguments, and turns a malformed message into the function's
error value.
"""

from cpython.method cimport PyMethod_Check, PyMethod_GET_FUNCTION, PyMethod_GET_SELF
from cpython.object cimport PyObject

import logging

from kahea.routing.dispatch cimport Current, Run

from kahea.routing import dispatch as _dispatch
from kahea.routing.dispatch import NoRun
from kahea.sip.errors import ParseError

cdef extern from "Python.h":
    ctypedef PyObject* (*PyCFunction)(PyObject*, PyObject*)

    ctypedef struct PyMethodDef:
        const char* ml_name
        PyCFunction ml_meth
        int ml_flags
        const char* ml_doc

    int METH_FASTCALL
    int METH_O
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    object PyCFunction_NewEx(PyMethodDef* method, object self, object module)
    object PyObject_Vectorcall(PyObject* f, PyObject** args, size_t n, PyObject* names)

cdef enum:
    MOST = 12  # arguments of one function

log = logging.getLogger("kahea.script")
cdef Current _current = _dispatch.current


cdef class Caller:
    """What one function needs when it is called. The built-in function that `caller` makes keeps it alive."""

    cdef object f
    cdef object owner  # what a method is bound to
    cdef str where
    cdef bytes name
    cdef bytes doc
    cdef tuple converters
    cdef object failed
    cdef PyMethodDef method
    cdef Py_ssize_t count
    cdef void* types[MOST]


cdef object _call(Caller self, PyObject** args, Py_ssize_t n):
    """The body of every such function, as the interpreter calls it (METH_FASTCALL)."""
    cdef PyObject* stack[MOST + 3]
    cdef Run run = _current.run
    cdef Py_ssize_t i, size = 1  # the first place is the callee's (PY_VECTORCALL_ARGUMENTS_OFFSET)
    cdef list kept = None
    if run is None:
        raise NoRun(f"{self.where} was called outside of a running route")
    if n != self.count:
        raise TypeError(f"{self.where} takes {self.count} argument{'' if self.count == 1 else 's'}, not {n}")
    if self.owner is not None:
        stack[size] = <PyObject*>self.owner
        size += 1
    stack[size] = <PyObject*>run
    size += 1
    for i in range(n):
        if <void*>args[i].ob_type is self.types[i]:
            stack[size + i] = args[i]
        else:
            if kept is None:
                kept = []
            value = self.converters[i](<object>args[i], self.where)
            kept.append(value)
            stack[size + i] = <PyObject*>value
    try:
        return PyObject_Vectorcall(
            <PyObject*>self.f, &stack[1], <size_t>(size + n - 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL
        )
    except ParseError as error:
        log.info("%s: %s", self.where, error)
        return self.failed


cdef class Guard:
    """What a guarded function needs when it is called. The built-in function that `guarded` makes keeps it alive."""

    cdef object f
    cdef object owner
    cdef str name
    cdef object failed
    cdef bytes encoded
    cdef PyMethodDef method


cdef object _guarded(Guard self, PyObject** args, Py_ssize_t n):
    cdef PyObject* stack[MOST + 3]
    cdef Py_ssize_t i, size = 1
    if n > MOST:
        raise TypeError(f"{self.name} was given too many arguments")
    if self.owner is not None:
        stack[size] = <PyObject*>self.owner
        size += 1
    for i in range(n):
        stack[size + i] = args[i]
    try:
        return PyObject_Vectorcall(
            <PyObject*>self.f, &stack[1], <size_t>(size + n - 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL
        )
    except ParseError as error:
        if self.name is not None:
            log.info("%s: %s", self.name, error)
        return self.failed


cdef class Test:
    """Something that is asked of a message, and known as a whole when a script is loaded: `ask` asks it."""

    cdef bint holds(self, Run run) except -1:
        raise NotImplementedError


def ask(Run run not None, Test test not None) -> bool:
    """Whether a test holds; not for a malformed message. A function of the native language that is compiled as this,
    with a test as its only argument, is called as `asking` makes it."""
    try:
        return test.holds(run)
    except ParseError:
        return False


cdef class Asking:
    """What a test needs when it is asked. The built-in function that `asking` makes keeps it alive."""

    cdef Test test
    cdef bytes name
    cdef PyMethodDef method


cdef object _asked(Asking self, run):
    """The body of such a function (METH_O)."""
    try:
        return self.test.holds(<Run?>run)
    except ParseError:
        return False


def asking(Test test not None, str name not None):
    """`ask` for one test: a function `(run)`, the cheapest to call that there is."""
    cdef Asking made = Asking.__new__(Asking)
    made.test = test
    made.name = name.encode()
    made.method.ml_name = made.name
    made.method.ml_meth = <PyCFunction><void*>_asked
    made.method.ml_flags = METH_O
    made.method.ml_doc = NULL
    return PyCFunction_NewEx(&made.method, made, None)


def quiet(f):
    """`f(run)`, which gives None for a malformed message: how variables are read."""
    return guarded(f, None, None)


def guarded(f, str name, failed):
    """`f(run, *args)`, which gives `failed` for a malformed message: how the native language calls functions. The log
    tells of it by the name, if there is one."""
    cdef Guard made = Guard.__new__(Guard)
    made.f = f
    if PyMethod_Check(f):
        made.f = <object>PyMethod_GET_FUNCTION(f)
        made.owner = <object>PyMethod_GET_SELF(f)
    made.name = name
    made.failed = failed
    made.encoded = b"get" if name is None else name.encode()
    made.method.ml_name = made.encoded
    made.method.ml_meth = <PyCFunction><void*>_guarded
    made.method.ml_flags = METH_FASTCALL
    made.method.ml_doc = NULL
    return PyCFunction_NewEx(&made.method, made, None)


def caller(f, str where, types, converters, failed, str doc):
    """`f(run, *args)` as a function without `run`. An argument not exactly of its type goes through its converter,
    `converter(value, where)`; `failed` is returned for a malformed message."""
    cdef Caller made = Caller.__new__(Caller)
    cdef Py_ssize_t i
    if len(types) > MOST:
        raise TypeError(f"{where} has too many parameters")
    made.f = f
    if PyMethod_Check(f):
        made.f = <object>PyMethod_GET_FUNCTION(f)
        made.owner = <object>PyMethod_GET_SELF(f)
    made.where = where
    made.name = where.rpartition(".")[2].encode()
    made.doc = doc.encode()
    made.converters = tuple(converters)
    made.failed = failed
    made.count = len(types)
    for i in range(made.count):
        if types[i] is not int and types[i] is not str:
            raise TypeError(f"{where}: an argument is an int or a str")
        made.types[i] = <void*>types[i]  # built into the interpreter: never freed
    made.method.ml_name = made.name
    made.method.ml_meth = <PyCFunction><void*>_call
    made.method.ml_flags = METH_FASTCALL
    made.method.ml_doc = made.doc
    return PyCFunction_NewEx(&made.method, made, None)
