"""Module app_lua_sr: `sr`, what Lua scripts called Kamailio by before KEMI."""

from __future__ import annotations

from kahea.routing.module import Module, Param


class AppLuaSr(Module):
    """The table `sr` of Lua scripts, with `sr.hdr` and `sr.pv`, and the modules that `register` names."""

    name = "app_lua_sr"
    needs = ("app_lua",)

    register: Param[list[str]] = Param([], "A module whose functions are in `sr` as well.", many=True)


MODULE = AppLuaSr
