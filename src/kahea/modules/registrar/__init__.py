"""Module registrar: REGISTER requests, and requests to who registered (RFC 3261 §10 and §16.5).

| file | what |
|---|---|
| `functions.py` | the functions, and the module |
| `save.pyx` | save(): what a REGISTER changes |
| `bindings.pyx`, `extensions.py` | what a REGISTER says |
| `refusal.py`, `answer.pyx`, `gruu.py` | what it is answered |
| `lookup.pyx` | lookup() and its kin |
| `told.py` | what scripts are told of contacts |
| `ulc.py` | `$ulc`: contacts that a script looks at |
| `parameters.py`, `rules.pyx` | the parameters, and as C data what is read of them |
"""

from kahea.modules.registrar.functions import Registrar

MODULE = Registrar
