"""Random play against the transaction layer: callers, callees and time do anything, and the invariants hold."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kahea.testing import Simulation, SipMessage, UserAgent, VirtualNode, cancel_of, failure_ack

from .invariants import check_answers, check_freed, check_quiet, mangled
from .stage import proxy, silent

STATUSES = (100, 180, 183, 199, 200, 202, 302, 401, 404, 408, 486, 487, 503, 603)


class Play(RuleBasedStateMachine):
    """One proxy, one caller, three callees. The simulation is kept from one play to the next while all is well."""

    kept: ClassVar[Simulation | None] = None

    @initialize()
    def open(self) -> None:
        sim = Play.kept
        if sim is None:
            sim = Simulation(1)
            proxy(sim, strict=True)
            for name in ("alice", "callee0", "callee1", "callee2"):
                silent(sim, name)
        Play.kept = None
        self.sim = sim
        self.node: VirtualNode = sim.nodes[0]
        self.alice: UserAgent = sim.uas["alice"]
        self.callees = [sim.uas[f"callee{i}"] for i in range(3)]
        self.out: list[SipMessage] = []
        self.replies: list[tuple[UserAgent, SipMessage]] = []
        for ua in sim.uas.values():
            ua.received.clear()
            ua._taken.clear()
            ua._repeats.clear()
        sim.trace.clear()

    def _send(self, message: SipMessage) -> None:
        self.out.append(message)
        self.alice.send(message)
        self.sim.run(0.005)

    # -- the caller

    @rule(first=st.integers(0, 2), more=st.lists(st.integers(0, 2), max_size=2), later=st.booleans(), tcp=st.booleans())
    def invite(self, first: int, more: list[int], later: bool, tcp: bool) -> None:
        headers = [("X-Fork", " ".join(self.callees[i].contact for i in more))] if more else []
        if later:
            headers.append(("X-Next", f"{self.callees[(first + 1) % 3].contact} sip:nobody@10.0.0.77"))
        target = "sip:nobody@10.0.0.78;transport=tcp" if tcp else self.callees[first].contact
        self._send(self.alice.build("INVITE", target, headers=headers))

    @rule(first=st.integers(0, 2), more=st.lists(st.integers(0, 2), max_size=1))
    def message(self, first: int, more: list[int]) -> None:
        headers = [("X-Fork", " ".join(self.callees[i].contact for i in more))] if more else []
        self._send(self.alice.build("MESSAGE", self.callees[first].contact, headers=headers))

    def _invites(self) -> list[SipMessage]:
        return [m for m in self.out if m.method == "INVITE"]

    def _is_repeat(self, message: SipMessage) -> bool:
        """Whether its transaction still stands: sent again later, it would be a new request, with a new answer."""
        finals = [m for m in self.alice.received if m.branch == message.branch and m.method == message.method]
        return not any(m.status >= 200 and self.sim.now - m.time > 4 for m in finals if not m.is_request)

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 99))
    def send_again(self, which: int) -> None:
        message = self.out[which % len(self.out)]
        if self._is_repeat(message):
            self.alice.send(message)
            self.sim.run(0.005)

    @precondition(lambda self: self._invites())
    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        invites = self._invites()
        message = cancel_of(invites[which % len(invites)])
        if self._is_repeat(message):
            self._send(message)

    @precondition(lambda self: self._invites())
    @rule(which=st.integers(0, 99), in_dialog=st.booleans())
    def ack(self, which: int, in_dialog: bool) -> None:
        invites = self._invites()
        invite = invites[which % len(invites)]
        finals = [
            m
            for m in self.alice.received
            if not m.is_request and m.status >= 200 and m.branch == invite.branch and m.method == "INVITE"
        ]
        if not finals:
            self._send(failure_ack(invite, invite))
        elif in_dialog:
            last = finals[-1]
            target = self.callees[which % 3].contact
            routes = list(reversed(last.all("Record-Route")))
            ack = self.alice.build(
                "ACK", target, to=last["To"], from_=invite["From"], call_id=invite.call_id, routes=routes
            )
            self._send(ack)
        else:
            self._send(failure_ack(invite, finals[-1]))

    # -- the callees

    @precondition(lambda self: any(ua.received for ua in self.callees))
    @rule(
        who=st.integers(0, 2),
        which=st.integers(0, 99),
        status=st.sampled_from(STATUSES),
        tag=st.sampled_from(["a", "b"]),
    )
    def answer(self, who: int, which: int, status: int, tag: str) -> None:
        ua = self.callees[who]
        requests = [m for m in ua.received if m.is_request]
        if not requests:
            return
        request = requests[which % len(requests)]
        self.replies.append((ua, ua.reply(request, status, tag=f"{ua.name}-{tag}")))
        self.sim.run(0.005)

    @precondition(lambda self: self.replies)
    @rule(which=st.integers(0, 99))
    def answer_again(self, which: int) -> None:
        ua, reply = self.replies[which % len(self.replies)]
        ua.send(reply)
        self.sim.run(0.005)

    @precondition(lambda self: self.out or self.replies)
    @rule(which=st.integers(0, 99), cut=st.integers(0, 2000))
    def torn(self, which: int, cut: int) -> None:
        messages = [*self.out, *(reply for _, reply in self.replies)]
        self.alice.send(mangled(messages[which % len(messages)], cut))
        self.sim.run(0.005)

    # -- time

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 4.0, 6.0, 31.0, 121.0, 181.0]))
    def time_passes(self, seconds: float) -> None:
        self.sim.run(seconds)

    @invariant()
    def nothing_raised(self) -> None:
        if hasattr(self, "sim"):
            check_quiet(self.sim)
            check_answers(self.alice)

    def teardown(self) -> None:
        if not hasattr(self, "sim"):
            return
        check_freed(self.sim, self.node)
        check_quiet(self.sim)
        check_answers(self.alice)
        Play.kept = self.sim


TestPlay = Play.TestCase
TestPlay.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
