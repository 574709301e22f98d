# cython: language_level=3
"""QuickJS for scripts that wait and must be stopped: contexts whose functions are the registry's.

The package `quickjs-ng` brings the engine as a shared library that exports QuickJS's own C interface, and a Python class
over it which does not do here: it stops texts at NUL, loses the exceptions of Python functions, and lets no function be
called while there is a limit of time. So this binds to the C interface, found by name when the first context is made.
The declarations are of QuickJS-ng 0.17; of another version nothing is called.

The interpreter lock is held while a script runs: it calls Python all the time, and nothing else has work then.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_Check

import importlib.util
import logging

from kahea.routing.dispatch cimport seconds_held

from kahea.routing.dispatch import EndRoute
from kahea.routing.foreign import TooFewArguments
from kahea.routing.libraries import ScriptExit
from kahea.routing.module import ConfigError

cdef extern from "dlfcn.h" nogil:
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)
    int RTLD_NOW

cdef extern from *:
    """
    #include <stdbool.h>
    #include <stdint.h>
    #include <string.h>
    typedef struct JSRuntime JSRuntime;
    typedef struct JSContext JSContext;
    /* As in quickjs.h where pointers have 64 bits. */
    typedef struct JSValue {
        union { int32_t int32; double float64; void *ptr; } u;
        int64_t tag;
    } JSValue;
    #if UINTPTR_MAX < 0xffffffffffffffff
    #error "QuickJS has other values where pointers have 32 bits"
    #endif
    typedef JSValue JSCFunctionMagic(JSContext *, JSValue, int, JSValue *, int);
    typedef int JSInterruptHandler(JSRuntime *, void *);
    typedef void JSHostPromiseRejectionTracker(JSContext *, JSValue, JSValue, bool, void *);
    static struct {
        const char *(*GetVersion)(void);
        JSRuntime *(*NewRuntime)(void);
        void (*FreeRuntime)(JSRuntime *);
        void (*SetMemoryLimit)(JSRuntime *, size_t);
        void (*SetMaxStackSize)(JSRuntime *, size_t);
        void (*UpdateStackTop)(JSRuntime *);
        void (*SetInterruptHandler)(JSRuntime *, JSInterruptHandler *, void *);
        void (*SetHostPromiseRejectionTracker)(JSRuntime *, JSHostPromiseRejectionTracker *, void *);
        JSContext *(*NewContext)(JSRuntime *);
        void (*FreeContext)(JSContext *);
        void (*SetContextOpaque)(JSContext *, void *);
        void *(*GetContextOpaque)(JSContext *);
        void (*FreeValue)(JSContext *, JSValue);
        JSValue (*NewObject)(JSContext *);
        JSValue (*NewStringLen)(JSContext *, const char *, size_t);
        JSValue (*NewStringUTF16)(JSContext *, const uint16_t *, size_t);
        const char *(*ToCStringLen2)(JSContext *, size_t *, JSValue, bool);
        void (*FreeCString)(JSContext *, const char *);
        JSValue (*NewCFunction2)(JSContext *, JSCFunctionMagic *, const char *, int, int, int);
        JSValue (*GetGlobalObject)(JSContext *);
        JSValue (*GetPropertyStr)(JSContext *, JSValue, const char *);
        int (*SetPropertyStr)(JSContext *, JSValue, const char *, JSValue);
        bool (*IsFunction)(JSContext *, JSValue);
        bool (*IsError)(JSValue);
        bool (*IsUncatchableError)(JSValue);
        void (*SetUncatchableError)(JSContext *, JSValue);
        JSValue (*Eval)(JSContext *, const char *, size_t, const char *, int);
        JSValue (*EvalFunction)(JSContext *, JSValue);
        uint8_t *(*WriteObject)(JSContext *, size_t *, JSValue, int);
        JSValue (*ReadObject)(JSContext *, const uint8_t *, size_t, int);
        void (*js_free)(JSContext *, void *);
        JSValue (*Call)(JSContext *, JSValue, JSValue, int, JSValue *);
        JSValue (*Throw)(JSContext *, JSValue);
        JSValue (*ThrowPlainError)(JSContext *, const char *, ...);
        JSValue (*GetException)(JSContext *);
        bool (*HasException)(JSContext *);
        int (*ExecutePendingJob)(JSRuntime *, JSContext **);
    } q;
    static const struct { const char *name; void *at; } NAMES[] = {
    #define NAME(n) {"JS_" #n, &q.n}
        NAME(GetVersion), NAME(NewRuntime), NAME(FreeRuntime), NAME(SetMemoryLimit), NAME(SetMaxStackSize),
        NAME(UpdateStackTop), NAME(SetInterruptHandler), NAME(SetHostPromiseRejectionTracker), NAME(NewContext),
        NAME(FreeContext), NAME(SetContextOpaque),
        NAME(GetContextOpaque), NAME(FreeValue), NAME(NewObject), NAME(NewStringLen), NAME(NewStringUTF16),
        NAME(ToCStringLen2), NAME(FreeCString), NAME(NewCFunction2), NAME(GetGlobalObject), NAME(GetPropertyStr),
        NAME(SetPropertyStr), NAME(IsFunction), NAME(IsError), NAME(IsUncatchableError), NAME(SetUncatchableError),
        NAME(Eval), NAME(EvalFunction), NAME(WriteObject), NAME(ReadObject), {"js_free", &q.js_free}, NAME(Call),
        NAME(Throw), NAME(ThrowPlainError), NAME(GetException), NAME(HasException), NAME(ExecutePendingJob),
    };
    static const char *find_all(void *handle) { /* the first name that is not there, or NULL */
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
            void *found = dlsym(handle, NAMES[i].name);
            if (!found) return NAMES[i].name;
            memcpy(NAMES[i].at, &found, sizeof found);
        }
        return NULL;
    }
    static JSValue make(int64_t tag, int32_t value) {
        JSValue v;
        v.u.ptr = 0;
        v.u.int32 = value;
        v.tag = tag;
        return v;
    }
    static JSValue make_float(double value) {
        JSValue v;
        v.u.float64 = value;
        v.tag = 8;
        return v;
    }
    static JSValue throw_text(JSContext *ctx, const char *text) { return q.ThrowPlainError(ctx, "%s", text); }
    """
    ctypedef struct JSRuntime:
        pass
    ctypedef struct JSContext:
        pass
    ctypedef union JSUnion:
        int int32
        double float64
        void* ptr
    ctypedef struct JSValue:
        JSUnion u
        long long tag
    ctypedef JSValue JSCFunctionMagic(JSContext*, JSValue, int, JSValue*, int) noexcept
    ctypedef int JSInterruptHandler(JSRuntime*, void*) noexcept nogil
    ctypedef bint c_bool "bool"
    ctypedef void JSHostPromiseRejectionTracker(JSContext*, JSValue, JSValue, c_bool, void*) noexcept
    ctypedef struct Interface:
        const char* GetVersion() noexcept
        JSRuntime* NewRuntime() noexcept
        void FreeRuntime(JSRuntime*) noexcept
        void SetMemoryLimit(JSRuntime*, size_t) noexcept nogil
        void SetMaxStackSize(JSRuntime*, size_t) noexcept
        void UpdateStackTop(JSRuntime*) noexcept
        void SetInterruptHandler(JSRuntime*, JSInterruptHandler*, void*) noexcept
        void SetHostPromiseRejectionTracker(JSRuntime*, JSHostPromiseRejectionTracker*, void*) noexcept
        JSContext* NewContext(JSRuntime*) noexcept
        void FreeContext(JSContext*) noexcept
        void SetContextOpaque(JSContext*, void*) noexcept
        void* GetContextOpaque(JSContext*) noexcept
        void FreeValue(JSContext*, JSValue) noexcept
        JSValue NewObject(JSContext*) noexcept
        JSValue NewStringLen(JSContext*, const char*, size_t) noexcept
        JSValue NewStringUTF16(JSContext*, const unsigned short*, size_t) noexcept
        const char* ToCStringLen2(JSContext*, size_t*, JSValue, bint) noexcept
        void FreeCString(JSContext*, const char*) noexcept
        JSValue NewCFunction2(JSContext*, JSCFunctionMagic*, const char*, int, int, int) noexcept
        JSValue GetGlobalObject(JSContext*) noexcept
        JSValue GetPropertyStr(JSContext*, JSValue, const char*) noexcept
        int SetPropertyStr(JSContext*, JSValue, const char*, JSValue) noexcept
        bint IsFunction(JSContext*, JSValue) noexcept
        bint IsError(JSValue) noexcept
        bint IsUncatchableError(JSValue) noexcept
        void SetUncatchableError(JSContext*, JSValue) noexcept
        JSValue Eval(JSContext*, const char*, size_t, const char*, int) noexcept
        JSValue EvalFunction(JSContext*, JSValue) noexcept
        unsigned char* WriteObject(JSContext*, size_t*, JSValue, int) noexcept
        JSValue ReadObject(JSContext*, const unsigned char*, size_t, int) noexcept
        void js_free(JSContext*, void*) noexcept
        JSValue Call(JSContext*, JSValue, JSValue, int, JSValue*) noexcept
        JSValue Throw(JSContext*, JSValue) noexcept
        JSValue GetException(JSContext*) noexcept
        c_bool HasException(JSContext*) noexcept
        int ExecutePendingJob(JSRuntime*, JSContext**) noexcept
    Interface q
    const char* find_all(void* handle) nogil
    JSValue make(long long tag, int value) nogil
    JSValue make_float(double value) nogil
    JSValue throw_text(JSContext* ctx, const char* text) noexcept

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)
    bint PyUnicode_IS_ASCII(object text)
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1

cdef enum:
    TAG_STRING = -7
    TAG_ROPE = -6
    TAG_INT = 0
    TAG_BOOL = 1
    TAG_NULL = 2
    TAG_UNDEFINED = 3
    TAG_EXCEPTION = 6
    TAG_FLOAT = 8
    COMPILE_ONLY = 1 << 5
    WRITE_BYTECODE = 1 << 0
    READ_BYTECODE = 1 << 0
    GENERIC_MAGIC = 1  # JS_CFUNC_generic_magic
    MAX_ARGUMENTS = 16
    MOST_UNHANDLED = 16
    STACK_SIZE = 512 * 1024

VERSION = "0.17."
EXIT = "~~ksr~exit~~"
TOO_LONG = "the script took %.2f s of CPU time without waiting, which is over its time limit"
log = logging.getLogger("kahea.script")
cdef bint bound = False


class Undefined:
    """JavaScript's `undefined`, which is not `null`."""

    def __repr__(self):
        return "undefined"


UNDEFINED = Undefined()


class JsError(Exception):
    """An uncaught exception of a script: its text, with file and line and the stack. `fatal` is set where the context
    can't be used any more. Its cause is what a Python function raised."""

    fatal = False


cdef int bind() except -1:
    """Find QuickJS. Raises ConfigError if it is not there as it is expected."""
    global bound
    spec = importlib.util.find_spec("_quickjs")
    if spec is None:
        raise ConfigError("JavaScript needs the package quickjs-ng")
    cdef bytes path = spec.origin.encode()
    cdef void* handle = dlopen(path, RTLD_NOW)
    if handle is NULL:
        raise ConfigError(f"{spec.origin} can't be loaded")
    cdef const char* missing = find_all(handle)
    if missing is not NULL:
        raise ConfigError(f"{spec.origin} does not have {missing.decode()}; JavaScript needs quickjs-ng {VERSION}x")
    version = q.GetVersion().decode()
    if not version.startswith(VERSION):
        raise ConfigError(f"JavaScript needs quickjs-ng {VERSION}x, not {version}")
    bound = True
    return 0


cdef int interrupted(JSRuntime* runtime, void* opaque) noexcept nogil:
    """Whether a script must stop; asked by QuickJS every 10,000 branches or so."""
    if seconds_held() <= (<double*>opaque)[0]:
        return 0
    # Without memory for the error that ends a script it would get one that it can catch. This context is given up.
    q.SetMemoryLimit(runtime, <size_t>-1)
    return 1


cdef void rejected(JSContext* ctx, JSValue promise, JSValue reason, c_bool handled, void* opaque) noexcept:
    """A promise was rejected with nobody to handle it, or somebody came later."""
    cdef Context self = <Context>opaque
    if handled:
        self.unhandled.pop(<size_t>promise.u.ptr, None)
    elif len(self.unhandled) < MOST_UNHANDLED:
        self.unhandled[<size_t>promise.u.ptr] = self.describe(reason)


cdef JSValue call_export(JSContext* ctx, JSValue this, int argc, JSValue* argv, int number) noexcept:
    """A function of KSR, as QuickJS calls it."""
    cdef Context self = <Context>q.GetContextOpaque(ctx)
    try:
        return self.call_export(argc, argv, number)
    except (EndRoute, SystemExit) as error:
        self.ended = error
        return q.Throw(ctx, self.from_python(EXIT))
    except TooFewArguments as error:
        log.error("%s", error)
        return make(TAG_BOOL, 0)
    except Exception as error:
        self.cause = error
        return throw_text(ctx, (str(error) or type(error).__name__).encode("utf-8", "replace"))
    except BaseException as error:
        # Not for the script: the run itself is being ended.
        self.ending = error
        return self.throw_uncatchable()


cdef JSValue make_group(JSContext* ctx, JSValue this, int argc, JSValue* argv, int number) noexcept:
    """`group(name)`: the object of a group of functions, made when it is first asked for."""
    cdef Context self = <Context>q.GetContextOpaque(ctx)
    return self.fill(q.NewObject(ctx), self.text(argv[0]).encode()) if argc == 1 else make(TAG_UNDEFINED, 0)


cdef JSValue evaluate(JSContext* ctx, JSValue this, int argc, JSValue* argv, int number) noexcept:
    """`evaluate(source, filename)`: run a program, for `require`."""
    cdef size_t size = 0
    cdef const char* source
    cdef const char* name
    cdef JSValue result
    if argc != 2:
        return make(TAG_UNDEFINED, 0)
    source = q.ToCStringLen2(ctx, &size, argv[0], False)
    name = q.ToCStringLen2(ctx, NULL, argv[1], False)
    if source is NULL or name is NULL:
        return make(TAG_EXCEPTION, 0)
    result = q.Eval(ctx, source, size, name, 0)
    q.FreeCString(ctx, source)
    q.FreeCString(ctx, name)
    return result


cdef class Context:
    """One runtime of QuickJS with one context: one script at a time.

    `exports` are objects with `call(values)`, `groups` has by the name of each group of KSR (index in `exports`, name,
    number of parameters) of its functions. `time_limit` in seconds and `memory_limit` in bytes are 0 for none.
    """

    cdef JSRuntime* runtime
    cdef JSContext* ctx
    cdef double time_limit
    cdef list exports
    cdef dict groups
    cdef object cause
    cdef object ending  # what ends the run, whatever the script does
    cdef object ended  # what a function raised to end the route
    cdef dict unhandled  # descriptions of rejections, by their promise

    def __cinit__(self, list exports, dict groups, double time_limit, size_t memory_limit):
        if not bound:
            bind()
        self.exports = exports
        self.groups = groups
        self.time_limit = time_limit
        self.runtime = q.NewRuntime()
        self.ctx = q.NewContext(self.runtime) if self.runtime is not NULL else NULL
        if self.ctx is NULL:
            raise MemoryError("no memory for a JavaScript context")
        q.SetContextOpaque(self.ctx, <void*>self)
        q.SetMaxStackSize(self.runtime, STACK_SIZE)
        self.unhandled = {}
        q.SetHostPromiseRejectionTracker(self.runtime, rejected, <void*>self)
        if memory_limit:
            q.SetMemoryLimit(self.runtime, memory_limit)
        if time_limit:
            q.SetInterruptHandler(self.runtime, interrupted, &self.time_limit)
        self.export()

    def __dealloc__(self):
        if self.ctx is not NULL:
            q.FreeContext(self.ctx)
        if self.runtime is not NULL:
            q.FreeRuntime(self.runtime)

    cdef int export(self) except -1:
        """Make `KSR` and what the prelude is given."""
        cdef JSValue scope = q.GetGlobalObject(self.ctx)
        cdef JSValue names = self.from_python(",".join(group.decode() for group in self.groups if group))
        q.SetPropertyStr(self.ctx, scope, b"KSR", self.fill(q.NewObject(self.ctx), b""))
        q.SetPropertyStr(self.ctx, scope, b"__groups", names)
        q.SetPropertyStr(self.ctx, scope, b"__group", q.NewCFunction2(self.ctx, make_group, b"group", 1, 1, 0))
        q.SetPropertyStr(self.ctx, scope, b"__evaluate", q.NewCFunction2(self.ctx, evaluate, b"evaluate", 2, 1, 0))
        q.FreeValue(self.ctx, scope)
        return 0

    cdef JSValue fill(self, JSValue home, bytes group) noexcept:
        """Put the functions of a group into an object."""
        cdef bytes name
        cdef int number, count
        for number, name, count in self.groups.get(group, ()):
            q.SetPropertyStr(
                self.ctx, home, name, q.NewCFunction2(self.ctx, call_export, name, count, GENERIC_MAGIC, number)
            )
        return home

    cdef JSValue call_export(self, int argc, JSValue* argv, int number) except *:
        cdef int i
        cdef tuple values = ()
        if argc > 0:
            values = tuple([self.to_python(argv[i]) for i in range(min(argc, MAX_ARGUMENTS))])
        return self.from_python(self.exports[number].call(values))

    cdef JSValue throw_uncatchable(self) noexcept:
        cdef JSValue error
        throw_text(self.ctx, b"the run is ended")
        error = q.GetException(self.ctx)
        q.SetUncatchableError(self.ctx, error)
        return q.Throw(self.ctx, error)

    # ---- values

    cdef object to_python(self, JSValue value):
        """A value for Python: of objects their text."""
        cdef double number
        if value.tag == TAG_INT:
            return value.u.int32
        if value.tag == TAG_BOOL:
            return value.u.int32 != 0
        if value.tag == TAG_NULL:
            return None
        if value.tag == TAG_UNDEFINED:
            return UNDEFINED
        if value.tag == TAG_FLOAT:
            number = value.u.float64
            if number == <double><long long>number and -9e15 < number < 9e15:
                return <long long>number
            return number
        return self.text(value)

    cdef str text(self, JSValue value):
        """`String(value)`; "" if that raises."""
        cdef size_t size = 0
        cdef const char* data = q.ToCStringLen2(self.ctx, &size, value, False)
        if data is NULL:
            q.FreeValue(self.ctx, q.GetException(self.ctx))
            return ""
        try:
            return PyUnicode_DecodeUTF8(data, size, b"surrogatepass")
        finally:
            q.FreeCString(self.ctx, data)

    cdef JSValue from_python(self, object value) except *:
        """An int, str, bool or None for the script."""
        cdef Py_ssize_t size
        cdef const char* data
        cdef int overflow
        cdef long long number
        cdef bytes wide
        if value is None:
            return make(TAG_NULL, 0)
        if PyUnicode_Check(value):
            if PyUnicode_IS_ASCII(value):
                data = PyUnicode_AsUTF8AndSize(value, &size)
                return q.NewStringLen(self.ctx, data, size)
            wide = value.encode("utf-16-le", "surrogatepass")
            return q.NewStringUTF16(self.ctx, <const unsigned short*><char*>wide, len(wide) // 2)
        if type(value) is bool:
            return make(TAG_BOOL, value is True)
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow == 0 and -0x80000000 <= number <= 0x7fffffff:
            return make(TAG_INT, <int>number)
        return make_float(float(value))

    # ---- running

    def compile(self, bytes source not None, str filename not None):
        """A script as bytecode. Raises JsError for what is none."""
        cdef size_t size = 0
        cdef bytes name = filename.encode("utf-8", "surrogateescape")
        q.UpdateStackTop(self.runtime)
        cdef JSValue f = q.Eval(self.ctx, source, len(source), name, COMPILE_ONLY)
        if f.tag == TAG_EXCEPTION:
            self.fail()
        cdef unsigned char* data = q.WriteObject(self.ctx, &size, f, WRITE_BYTECODE)
        q.FreeValue(self.ctx, f)
        if data is NULL:
            self.fail()
        try:
            return (<char*>data)[:size]
        finally:
            q.js_free(self.ctx, data)

    def execute(self, bytes bytecode not None):
        """Run compiled code of `compile`, of this process only. Raises ScriptExit, EndRoute, JsError."""
        q.UpdateStackTop(self.runtime)
        self.cause = self.ended = None
        cdef JSValue f = q.ReadObject(self.ctx, bytecode, len(bytecode), READ_BYTECODE)
        if f.tag == TAG_EXCEPTION:
            self.fail()
        return self.finish(q.EvalFunction(self.ctx, f))

    def has(self, bytes name not None):
        """Whether there is a global function of that name."""
        cdef JSValue scope = q.GetGlobalObject(self.ctx)
        cdef JSValue f = q.GetPropertyStr(self.ctx, scope, name)
        cdef bint found = q.IsFunction(self.ctx, f)
        q.FreeValue(self.ctx, f)
        q.FreeValue(self.ctx, scope)
        return found

    def call(self, bytes name not None, *args):
        """Call a global function; what it returned, of objects the text. Raises ScriptExit, EndRoute, JsError."""
        cdef JSValue values[MAX_ARGUMENTS]
        cdef JSValue scope, f, result
        cdef int i, count = len(args)
        if count > MAX_ARGUMENTS:
            raise TypeError("too many arguments")
        q.UpdateStackTop(self.runtime)
        self.cause = self.ended = None
        scope = q.GetGlobalObject(self.ctx)
        f = q.GetPropertyStr(self.ctx, scope, name)
        if not q.IsFunction(self.ctx, f):
            q.FreeValue(self.ctx, f)
            q.FreeValue(self.ctx, scope)
            raise JsError(f"there is no function {name.decode('utf-8', 'replace')} in the script")
        for i in range(count):
            values[i] = self.from_python(args[i])
        result = q.Call(self.ctx, f, scope, count, values)
        for i in range(count):
            q.FreeValue(self.ctx, values[i])
        q.FreeValue(self.ctx, f)
        q.FreeValue(self.ctx, scope)
        return self.finish(result)

    cdef object finish(self, JSValue result):
        """The value of a script that has ended, its promises included."""
        cdef JSContext* job
        cdef int left
        if result.tag == TAG_EXCEPTION:
            self.fail()
        value = self.to_python(result)
        q.FreeValue(self.ctx, result)
        while True:
            left = q.ExecutePendingJob(self.runtime, &job)
            if (left or self.unhandled) and self.time_limit and seconds_held() > self.time_limit:
                self.unhandled.clear()
                raise failure(TOO_LONG % seconds_held(), "", True)
            if left < 0:
                self.fail()
            if left == 0:
                break
        if q.HasException(self.ctx):
            # There was no memory for the next job, which nobody is told of otherwise.
            self.fail()
        if self.unhandled:
            message, trace = next(iter(self.unhandled.values()))
            self.unhandled.clear()
            if message == EXIT:
                self.leave()
            raise failure(message, trace, False)
        return value

    cdef tuple describe(self, JSValue error):
        """What was thrown: its text, and its stack if it has one."""
        cdef JSValue stack
        # null is what QuickJS throws when it has no memory for an exception.
        message = "null, or out of memory" if error.tag == TAG_NULL else self.text(error)
        trace = ""
        if q.IsError(error):
            stack = q.GetPropertyStr(self.ctx, error, b"stack")
            trace = self.text(stack)
            q.FreeValue(self.ctx, stack)
        return message, trace

    cdef int leave(self) except -1:
        """Raise what ended the script quietly."""
        ended, self.ended = self.ended, None
        raise ended or ScriptExit

    cdef int fail(self) except -1:
        """Raise what the script threw."""
        cdef JSValue error = q.GetException(self.ctx)
        cdef bint stopped = q.IsUncatchableError(error)
        cause, self.cause = self.cause, None
        ending, self.ending = self.ending, None
        message, trace = self.describe(error)
        if error.tag == TAG_NULL:
            stopped = stopped or (self.time_limit > 0 and seconds_held() > self.time_limit)
        q.FreeValue(self.ctx, error)
        self.unhandled.clear()
        if ending is not None:
            raise ending
        if message == EXIT:
            self.leave()
        if stopped:
            message = TOO_LONG % seconds_held()
        raised = failure(message, trace, stopped)
        raise raised from (cause if cause is not None and str(cause) in message else None)


def failure(str message not None, str trace not None, bint fatal):
    """The exception for what a script threw."""
    raised = JsError(placed(message, trace))
    raised.fatal = fatal or "out of memory" in message
    return raised


def placed(str message not None, str trace not None):
    """A message with the place of the first line of its stack before it, and the stack behind."""
    lines = [line.strip() for line in trace.split("\n") if line.strip()]
    for line in lines:
        at = line[line.rfind("(") + 1:].rstrip(")") if "(" in line else line.removeprefix("at ")
        if ":" in at and not at.startswith("native"):
            return "\n    ".join([f"{at}: {message}", *lines])
    return message
