"""A long cfg, written for the purpose: how long a server takes from its start to its first answer depends on it.

Its routes are those of a large site: one for each of many customers, with tests, variables, branches, switches, calls.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
#: Where the cfg is written.
LONG_CFG = str(HERE.parent / "build/bench-long.cfg")
LINES = 5000

HEAD = f"""#!KAMAILIO
include_file "{HERE}/kamailio/common.cfg"
#!define FLT_ACC 1
"""

CUSTOMER = """
# Customer {n}: what it may call, and what its numbers become.
route[CUSTOMER_{n}] {{
	if (!is_method("INVITE|SUBSCRIBE") || $rU == $null) {{
		xlog("L_DBG", "customer {n}: nothing to do for $rm of $fu ($ci)\\n");
		return 1;
	}}
	$var(prefix) = "{n:04d}";
	$avp(customer) = {n};
	if ($rU =~ "^\\+?{n:04d}[0-9]+$" && $(rU{{s.len}}) > 6) {{
		$rU = $(rU{{s.substr,4,0}});
		setflag(FLT_ACC);
	}} else if (starts_with("$rU", "00") or $si == "10.0.{high}.{low}") {{
		$rU = "+" + $(rU{{s.strip,2}});
	}} else {{
		switch ($var(kind)) {{
			case 1:
				append_hf("X-Customer: {n};prefix=$var(prefix)\\r\\n");
				break;
			case 2:
			case 3:
				$du = "sip:10.1.{high}.{low}:5060";
				break;
			default:
				sl_send_reply("403", "Not for customer {n}");
				exit;
		}}
	}}
	$var(i) = 0;
	while ($var(i) < 3) {{
		$xavp(c{n}=>hop) = $var(i) * 2 + {n};
		$var(i) = $var(i) + 1;
	}}
	if (route(NEXT_{n}) < 0) return -1;
	return 1;
}}

route[NEXT_{n}] {{
	if ($hdr(P-Asserted-Identity) != $null && !($fd == "example{n}.com" || $td == "example{n}.com")) return -1;
	return 1;
}}
"""

MAIN = """
request_route {{
	if (is_method("OPTIONS") && uri == myself) {{
		sl_send_reply("200", "OK");
		exit;
	}}
{calls}
	if (!t_relay()) sl_reply_error();
	exit;
}}
"""


def long_cfg(lines: int = LINES) -> str:
    """A cfg of about so many lines."""
    size = CUSTOMER.count("\n") + 1  # and the call of its route
    count = (lines - HEAD.count("\n") - MAIN.count("\n")) // size
    routes = [CUSTOMER.format(n=n, high=n >> 8, low=n & 255) for n in range(count)]
    calls = "\n".join(f'\tif ($fd == "example{n}.com") route(CUSTOMER_{n});' for n in range(count))
    return HEAD + "".join(routes) + MAIN.format(calls=calls)


def write_long_cfg() -> None:
    """Write it to where the benchmark's servers read it."""
    path = Path(LONG_CFG)
    path.parent.mkdir(exist_ok=True)
    path.write_text(long_cfg())
