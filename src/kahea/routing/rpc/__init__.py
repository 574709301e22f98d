"""Management commands: how they are called (`calls`), and two ways to write them down (`binrpc`, `jsonrpc`).

Nothing here opens a socket. A transport (the modules `ctl` and `jsonrpcs`, the control socket of `admin`) reads a
request, has it carried out by `calls.start`, and sends what the answer is written as.

What a command returns is one of:

- `None`: nothing
- a number, a text, a dict (a structure), which may nest dicts and lists
- a list: each item is an answer of its own; in JSON, an array
- a tuple: as a list, but JSON has room for the last only (commands that Kamailio does not mark as answering with one)

A structure in which a name stands several times is a list of dicts of one entry each.
"""
