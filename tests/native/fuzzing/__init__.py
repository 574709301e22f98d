"""Programs and cfgs made at random, and what Kamailio and we make of them.

`python -m tests.native.fuzzing programs 0-2000` runs the programs of these seeds and prints those that differ,
`messages` those that change the message in hand and send it on; `cfgs 0-2000` compares `kamailio -c` with `kahea check`
on cfgs with something wrong in them. A seed means the same program on every machine.
"""
