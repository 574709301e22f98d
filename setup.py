"""Compiles the core: the message, batched UDP and the transactions' hot path. All else is in pyproject.toml."""

import os
from pathlib import Path

import greenlet
from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,
    "wraparound": False,
    "initializedcheck": False,
    "freethreading_compatible": False,
}

# Where `greenlet/greenlet.h` lies.
GREENLET = str(Path(greenlet.__file__).parents[1])

# For a quick rebuild of one part: KAHEA_BUILD_ONLY=tm/ python setup.py build_ext --inplace
ONLY = os.environ.get("KAHEA_BUILD_ONLY", "")


def extension(path: Path) -> Extension:
    """One extension module per `.pyx`, named by its place below `src`."""
    name = ".".join(path.with_suffix("").parts[1:])
    # Information for debuggers costs a quarter of the compiler's time: KAHEA_CFLAGS="-O2 -g" has it.
    flags = os.environ.get("KAHEA_CFLAGS", "-O2 -g0 -fno-plt -Wall").split()
    return Extension(name, [str(path)], include_dirs=[GREENLET], extra_compile_args=flags)


setup(
    ext_modules=cythonize(
        [extension(p) for p in sorted(Path("src").rglob("*.pyx")) if ONLY in str(p)],
        compiler_directives=DIRECTIVES,
        include_path=["src"],
        nthreads=os.cpu_count() or 1,
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
