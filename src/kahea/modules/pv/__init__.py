"""Module pv: the pseudo-variables of Kamailio's core, pv, corex and kex, one file for each topic, and
`KSR.pv` and `KSR.pvx`."""

from kahea.modules.pv.module import PvModule

MODULE = PvModule
