"""`KSR.pvx`: AVPs, `$var`, `$shv` and the static branch by name, without a variable to compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.pv.branches import STATIC_FACET, add_branch, static_branch
from kahea.modules.pv.script import Shared
from kahea.routing.lists import lists_of
from kahea.routing.module import Module, Value, function, native
from kahea.routing.pv.values import NULL_TEXT
from kahea.sip.message import Target

if TYPE_CHECKING:
    from kahea.routing.run import Run


class AvpFunctions(Module):
    """Functions on AVPs, whose names are texts here: neither aliases nor `s:` and `i:` mean anything."""

    initial: dict[str, Value]
    shared: Shared

    @function(group="pvx")
    def avp_get(self, run: Run, name: str) -> Value:
        """The newest value of an AVP."""
        return lists_of(run.msg).avps.get(name)

    @function(group="pvx")
    def avp_gete(self, run: Run, name: str) -> Value:
        """The newest value of an AVP, an empty text for null."""
        value = lists_of(run.msg).avps.get(name)
        return "" if value is None else value

    @function(group="pvx")
    def avp_getw(self, run: Run, name: str) -> Value:
        """The newest value of an AVP, the text `<null>` for null."""
        value = lists_of(run.msg).avps.get(name)
        return NULL_TEXT if value is None else value

    @function(group="pvx")
    def avp_is_null(self, run: Run, name: str) -> int:
        """Whether an AVP has no value."""
        return 1 if lists_of(run.msg).avps.get(name) is None else -1

    def _push(self, run: Run, name: str, value: int | str) -> int:
        if not name:
            self.node.log.error("an AVP needs a name")
            return -1
        lists_of(run.msg).avps.push(name, value)
        return 1

    @function(group="pvx")
    def avp_seti(self, run: Run, name: str, value: int) -> int:
        """Add a number to an AVP."""
        return self._push(run, name, value)

    @function(group="pvx")
    def avp_sets(self, run: Run, name: str, value: str) -> int:
        """Add a text to an AVP."""
        return self._push(run, name, value)

    @function(group="pvx")
    def avp_rm(self, run: Run, name: str) -> int:
        """Remove the newest value of an AVP."""
        lists_of(run.msg).avps.pop(name)
        return 1

    # ---- $var and $shv

    @function(group="pvx")
    def var_get(self, run: Run, name: str) -> Value:
        """A variable of the run, 0 until it is set."""
        return run.vars[name] if name in run.vars else self.initial.get(name, 0)

    @function(group="pvx")
    def var_seti(self, run: Run, name: str, value: int) -> int:
        """Assign a number to a variable of the run."""
        run.vars[name] = value
        return 1

    @function(group="pvx")
    def var_sets(self, run: Run, name: str, value: str) -> int:
        """Assign a text to a variable of the run."""
        run.vars[name] = value
        return 1

    @function(group="pvx")
    def shv_get(self, run: Run, name: str) -> Value:
        """A variable of the node, 0 if there is none of the name."""
        return self.shared.values.get(name, 0)

    def _share(self, name: str, value: int | str) -> int:
        if name not in self.shared.values:
            self.node.log.error("$shv(%s) is not declared: set it by the parameter shvset", name)
            return -1
        self.shared.put(name, value)
        return 1

    @function(group="pvx")
    def shv_seti(self, run: Run, name: str, value: int) -> int:
        """Assign a number to a variable of the node, which must be declared."""
        return self._share(name, value)

    @function(group="pvx")
    def shv_sets(self, run: Run, name: str, value: str) -> int:
        """Assign a text to a variable of the node, which must be declared."""
        return self._share(name, value)

    @function(group="pvx")
    def shvinc_get(self, run: Run, name: str) -> Value:
        """Add one to a variable of the node, which must be declared, and give the new value."""
        if name not in self.shared.values:
            self.node.log.error("$shv(%s) is not declared: set it by the parameter shvset", name)
            return None
        return self.shared.increment(name)

    # ---- the static branch

    @function(group="pvx")
    @native()
    def sbranch_reset(self, run: Run) -> int:
        """Empty the static branch."""
        run.msg.facets.pop(STATIC_FACET, None)
        return 1

    @function(group="pvx")
    @native()
    def sbranch_append(self, run: Run) -> int:
        """Add the static branch to the destination set."""
        target = static_branch(run.msg)
        if not target.uri or not run.msg.is_request:
            self.node.log.error("sbranch_append: the static branch has no uri")
            return -1
        return 1 if add_branch(run.msg, _copy(target)) else -1

    @function(group="pvx")
    @native()
    def sbranch_set_ruri(self, run: Run) -> int:
        """Make the static branch the request's target."""
        msg, target = run.msg, static_branch(run.msg)
        if not target.uri or not msg.is_request:
            self.node.log.error("sbranch_set_ruri: the static branch has no uri")
            return -1
        msg.set_uri(target.uri)
        msg.dst_uri, msg.path, msg.q = target.dst_uri, target.path, target.q
        msg.send_sock, msg.bflags = target.sock, target.flags
        msg.ruid, msg.instance, msg.location_ua = target.ruid, target.instance, target.location_ua
        msg.reg_id = target.reg_id
        return 1


def _copy(target: Target) -> Target:
    return Target(
        target.uri,
        target.dst_uri,
        target.path,
        target.q,
        target.flags,
        target.sock,
        target.ruid,
        target.instance,
        target.location_ua,
        target.reg_id,
        target.connection_id,
    )
