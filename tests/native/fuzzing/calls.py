"""Calls whose routes of every kind have bodies made from a seed: what leaves, and what each route said."""

from __future__ import annotations

from random import Random

from ..both import CALLEE
from ..flows import Flow

ANSWERS = [(180, 200), (486,), (183, 486), (200,), (404,), (180, 603), (302,)]
CALLS = ["route(ZERO);", "route(EXIT);", "route(DROP);", "route(MINUS);", "route(NOTHING);", "$var(x) = route(MINUS);"]
ENDS = [
    "drop;", "exit;", "return;", "return 0;", "return -1;", "return 2;", "drop();", "exit();", "return $rc;",
    "return $var(x);", "return (1 == 2);",
]  # fmt: skip


def body(random: Random, kind: str, depth: int = 2) -> str:
    """Some statements for a route of a kind."""
    return " ".join(_statement(random, kind, depth) for _ in range(random.randint(1, 3)))


def _statement(random: Random, kind: str, depth: int) -> str:
    r = random.random()
    if depth and r < 0.3:
        condition = random.choice(_conditions(kind))
        out = f"if ({condition}) {{ {body(random, kind, depth - 1)} }}"
        return out + (f" else {{ {body(random, kind, depth - 1)} }}" if random.random() < 0.5 else "")
    if depth and r < 0.4:
        inner = body(random, kind, depth - 1)
        return f"$var(i) = 0; while ($var(i) < 2) {{ $var(i) = $var(i) + 1; {inner} }}"
    if depth and r < 0.5:
        subject = random.choice(["$rs", "$var(x)", "$T_branch_idx", "$rc"])
        label = random.choice(["180", "200", "486", "0", "1", "-1"])
        first, other = body(random, kind, depth - 1), body(random, kind, depth - 1)
        return f"switch ({subject}) {{ case {label}: {first} break; default: {other} }}"
    if r < 0.6:
        return random.choice(CALLS)
    if r < 0.72:
        return random.choice(ENDS)
    if r < 0.8:
        return random.choice(_actions(kind))
    shown = random.choice(["$rc", "$rs", "$rm", "$rU", "$T_reply_code", "$var(x)", "$avp(a)", "$mf", "$T_branch_idx"])
    return f"OUT({kind[0]}{random.randint(1, 9)} {shown});;"


def _conditions(kind: str) -> list[str]:
    common = ['is_method("INVITE")', 'is_method("BYE")', "$var(x) > 0", "$rc > 0", "route(MINUS)", "route(NOTHING)",
              "isflagset(1)", "$avp(a) == 1", "$rU == $null"]  # fmt: skip
    if kind in ("onreply", "core", "failure"):
        common += ["$rs == 180", 'status =~ "^4"', "$rs >= 200", 'status == "486"']
    if kind == "failure":
        common += ['t_check_status("486")', "t_is_canceled()", "t_any_timeout()", "t_branch_timeout()"]
    return common


def _actions(kind: str) -> list[str]:
    common = ["$var(x) = 5;", "$var(x) = -1;", "setflag(1);", "resetflag(1);", "$avp(a) = 1;", "$avp(a) = $null;"]
    common.append('is_method("BYE");')
    if kind == "failure":
        # Nothing follows what is relayed: a final reply might overtake it.
        return [*common, 't_reply("480", "x");', 't_reply("500", "y");',
                f'$ru = "sip:again@127.0.0.1:{CALLEE}"; t_relay(); exit;',
                f'append_branch(); $ru = "sip:again@127.0.0.1:{CALLEE}"; t_relay(); exit;']  # fmt: skip
    if kind == "branch":
        return [*common, '$rU = "branch";', 'append_hf("X-Br: 1\\r\\n");']
    if kind in ("onreply", "core"):
        return [*common, 'remove_hf("X-Out");', "setflag(2);"]
    return common


def flow(seed: int) -> Flow:
    """The call of a seed."""
    random = Random(seed)
    kinds = [k for k in ("branch", "onreply", "failure", "core") if random.random() < 0.5] or ["core"]
    bodies = {kind: f"$var(x) = 0; {body(random, kind)}" for kind in kinds}
    request = random.choice(["", "", "setflag(1);", "$avp(a) = 1;", 'is_method("BYE");']) + " t_relay();"
    return Flow(answers=random.choice(ANSWERS), request=request, **bodies)
