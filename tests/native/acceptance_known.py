"""Snippets that are accepted on one side only, by reason."""

from __future__ import annotations

from typing import Final

#: Refused by Kamailio 5.6.3.
ACCEPTED_HERE: Final = frozenset(
    [
        # What later versions of Kamailio have.
        "#!defexp A 1+2\ndebug=A\n",
        "#!ifexp 1\ndebug=1\n#!endif\n",
        'listen=udp:127.0.0.1:5060 agname "x"',
        'socket = {\n bind = udp:127.0.0.1:5060;\n advertise = 1.2.3.4:5060;\n name = "x";\n}',
        'socket={ bind="udp:127.0.0.1:5060"; }',
        "socket={ bind=udp:127.0.0.1:5060 }",
        'socket={ bind=udp:127.0.0.1:5060; agname="x"; }',
        "socket={ bind=udp:127.0.0.1:5060; workers=2; }",
        "socket={ bind=udp:127.0.0.1:5060; }",
        "socket={ bind=udp:127.0.0.1:5060; virtual=on; }",
        'socket={ bind=udp:127.0.0.1:5060; advertise=1.2.3.4:5060; name="x"; virtual=yes; agname="a"; workers=2; }',
        "return_mode=1",
        "domain=a.com",
        'coreparam[random_engine]="x"',
        # An empty block: check warns.
        "if (1) exit; else { }",
        "if (1) {}",
        "if(1) {} else {}",
        "route {}",
        # Comments, quotes and line ends that mean what they seem to.
        "#!define A 1 # c\nrequest_route { setflag(A); }\n",
        "#!define A \\\n 1\ndebug=A",
        "#!ifdef A\n/* #!endif */\nxx\n#!endif",
        "#!ifdef A\nxx\n#!endifx\n#!endif",
        'import_file "nope.cfg";\n',
        "include_file '/dev/null'\n",
        # Names, numbers and attributes where the grammar has no place for them, though nothing else could be meant.
        "alias=a\ngrp.x=3",
        "debug.a=3",
        "grp.a=-3",
        'listen=udp:127.0.0.1:5060 name "x" advertise 1.2.3.4:5060',
        'listen=udp:127.0.0.1:5060 virtual name "x"',
        'log_facility="LOG_LOCAL0"',
        "tcp.a=3",
        # Names that the resolver or an interface is asked for when the server starts.
        'listen="udp:127.0.0.1:5060"',
        'listen=udp:127.0.0.1:5060 vrf "x"',
        "listen=udp:my-host.com:5060",
        # Arguments of core functions: what has the right value will do.
        "$shv(x)=1;",
        "force_send_socket($var(x));",
        'forward("1.2.3.4", "5060");',
        "forward($var(x));",
        "forward(1.2.3.4:5060);",
        "forward(udp:1.2.3.4:5060);",
        "forward(uri:port);",
        "if (method == (INVITE)) exit;",
        "if (src_ip == [::ffff:1.2.3.4]) exit;",
        'if (strip("1")) exit;',
        "is_method(A);",
        'log("a" + "b");',
        'log(-1,"a");',
        'log(1+1, "x");',
        "prefix($var(x));",
        "prefix(a);",
        "remove_branch($var(x));",
        'set_advertised_port("5060");',
        'setflag("1");',
        "setflag(1+1);",
        "setport(5060);",
        'strip("1");',
        "strip($var(x));",
        "strip(1+1);",
        "t_relay_to_udp(1.2.3.4,5060);",
        't_reply(method == "x", "x");',
        'xlog(L_ERR, "a");',
    ]
)

#: Accepted by `kamailio -c`.
REFUSED_HERE: Final = frozenset(
    [
        "#!else\n",  # an error in its log, and no more
        '#!subst "/a/$var(x)/"\n',  # replaces by 0: variables have no values yet
        "alias=inet",  # a word of the language
        "if ($ ru) exit;",  # refused when the routes are fixed up
    ]
)
