"""What is remembered of hosts that were asked for: names come from the network, and may be as long as a URI."""

from __future__ import annotations

from kahea.routing.dispatch import Asked


class Known(Asked):
    """Knows every host that begins with `my`, and counts how often it had to find that out."""

    def __init__(self) -> None:
        super().__init__()
        self.worked_out = 0

    def work_out(self, host: str | bytes, port: int, proto: int) -> bool:
        self.worked_out += 1
        return host[:2] in ("my", b"my")


def test_a_host_is_worked_out_once() -> None:
    known = Known()
    assert [known.check(host) for host in (b"my.example", b"my.example", b"other", b"other")] == [
        True,
        True,
        False,
        False,
    ]
    assert known.worked_out == 2
    known.forget_asked()
    assert known.check(b"my.example")
    assert known.worked_out == 3


def test_what_is_longer_than_any_name_in_dns_is_not_remembered() -> None:
    known = Known()
    longest, longer = b"my" + b"x" * 253, b"my" + b"x" * 254
    assert all(known.check(host) for host in (longest, longest, longer, longer, longer))
    assert known.worked_out == 1 + 3
