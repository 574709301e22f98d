"""Messages, values and expressions that both servers evaluate in `test_oracle.py`."""

from __future__ import annotations

from typing import Any

Call = list[Any]


def _lines(text: str, body: bytes = b"") -> bytes:
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def lines(text: str) -> list[str]:
    """The lines of a text that begins and ends with a line end."""
    return text[1:-1].split("\n")


def words(text: str) -> list[str]:
    """The words of a text, for lists that are long and plain."""
    return text.split()


INVITE = _lines(
    """
INVITE sip:bob:secret@example.org:5070;transport=tcp;user=phone?X-a=1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5066;branch=z9hG4bK1;rport, SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK2;received=10.9.9.9
Via: SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bK3
Max-Forwards: 70
From: "Alice A" <sip:alice@atlanta.example.com:5090;transport=udp>;tag=ft1
To: Bob <sip:bob@biloxi.example.com>
Call-ID: cid@10.0.0.1
CSeq: 314159 INVITE
Contact: "A" <sip:alice@127.0.0.1:5066;ob>;expires=60;q=0.5, <sip:alice2@127.0.0.1>;expires=30
Route: <sip:127.0.0.9;lr>, <sip:127.0.0.10:5080;lr;transport=tcp>
Record-Route: <sip:127.0.0.7;lr>
User-Agent: Tester 1.0
Subject: one
X-Multi: a
X-Multi: b,c
X-Multi: d
X-Empty:
X-Folded: first
  second
Expires: 120
P-Asserted-Identity: "PA" <sip:pa@pa.example.com>, <tel:+123>
P-Preferred-Identity: "PP" <sip:pp@pp.example.com>
Remote-Party-ID: "R" <sip:rpid@r.example.com>;party=calling
Diversion: "D" <sip:div@d.example.com>;reason=user-busy;counter=3;privacy=full
Refer-To: <sip:ref@r.example.com?Replaces=x>
Authorization: Digest username="auth@dom.example.com", realm="realm1", nonce="n1", uri="sip:x.example.com", \
response="00000000000000000000000000000000", algorithm=MD5, opaque="op", qop=auth, nc=00000001, cnonce="cn"
Content-Type: application/sdp
Content-Length: 10
""",
    b"v=0\r\no=- 1",
)
REPLY = _lines(
    """
SIP/2.0 183 Session Progress
Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx
Via: SIP/2.0/TCP 127.0.0.1:5066;branch=z9hG4bK1;rport=7777;received=10.1.1.1
f: <sip:a@x>;tag=1
t: <sip:b@y>;tag=2
i: c1
CSeq: 3 INVITE
l: 0
"""
)
MINIMAL = _lines(
    """
OPTIONS sip:h SIP/2.0
Via: SIP/2.0/UDP h;branch=z9hG4bK9
From: sip:a@b;tag=1
To: sip:c@d
Call-ID: 1
CSeq: 1 OPTIONS
"""
)
TEL = MINIMAL.replace(b"sip:h SIP", b"tel:+1234;phone-context=x SIP")
SIPS = MINIMAL.replace(b"sip:h SIP", b"sips:u@[2001:db8::1] SIP")
URN = MINIMAL.replace(b"sip:h SIP", b"urn:service:sos.fire SIP")
REGISTER = _lines(
    """
REGISTER sip:reg SIP/2.0
Via: SIP/2.0/UDP h;branch=z9hG4bK9;i=7
From: "A \\"q\\" B"   <sip:a@b>;tag=1;x=y
To: <sip:c@d>;tag=
Call-ID: 1
CSeq: 1 REGISTER
Contact: *
Proxy-Authorization: Digest username="u", realm="r", nonce="n", uri="sip:x", response="1"
Authorization: Digest username="other", realm="r2", nonce="n", uri="sip:x", response="1"
Expires: 0
"""
)
MESSAGES = {
    "invite": INVITE,
    "reply": REPLY,
    "minimal": MINIMAL,
    "tel": TEL,
    "sips": SIPS,
    "urn": URN,
    "register": REGISTER,
}

PLAIN = words(
    """
$? $aa $ad $adc $adn $ado $adr $adu $ai $ar $AU $Au $aU $au $bF $bf $bR $br $bs $ci $cl $cs $csb $cT $ct
$dd $di $dic $dip $dir $dP $dp $ds $du $duri $fd $fn $from $from.domain $from.user $fs $fsn $fsp $ft $fU
$fu $fUl $location_ua $mb $mF $mf $ml $mt $mts $null $od $oP $op $oU $ou $oUl $ouri $pd $pn $pr $prid
$proto $pU $pu $RAi $RAp $Ras $RAu $RAut $rb $rc $rd $re $retcode $Ri $rm $rmid $Rn $Rp $rP $rp $rr $rs
$rsi $rt $Ru $rU $ru $ruid $rUl $ruri $ruri.domain $ruri.user $Rut $rv $rz $sas $sF $sf $si $sid $siz $sp
$src_ip $su $sut $td $tn $to $to.domain $to.user $true $tt $tU $tu $tUl $ua $err.class $err.info
$err.level $err.rcode $err.rreason $$
"""
)

KEYED = words(
    r"""
$hdr(X-Multi) $hdr(x-multi) $hdr(From) $hdr(f) $hdr(Call-ID) $hdr(i) $hdr(Nope) $hdr(*) $(hdr(*)[-1])
$(hdr(*)[3]) $(hdr(*)[99]) $(hdr(X-Multi)[1]) $(hdr(X-Multi)[-1]) $(hdr(X-Multi)[-3]) $(hdr(X-Multi)[-4])
$(hdr(X-Multi)[*]) $(hdr(X-Multi)[9]) $(hdr(X-Multi)[99999999999]) $(hdr(X-Multi)[$var(one)])
$(hdr(X-Multi)[$(var(one))]) $(hdr(X-Multi)[$cl]) $hdr($var(h)) $hdr($(var(h))) $hdr($(var(h){s.tolower}))
$hdr(X-Empty) $hdr(X-Folded) $hdr(Via) $(hdr(Via)[1]) $hdr() $hdr $hdr(a,b) $hdrc(Via) $hflc(Via)
$hflc(Contact) $hflc(Route) $hdrc(X-Multi) $hflc(X-Multi) $hdrc(Nope) $(hfl(Via)[1]) $(hfl(Via)[2])
$(hfl(Via)[9]) $(hfl(Route)[1]) $(hfl(X-Multi)[1]) $(hfl(Route)[*]) $hfl(Nope) $(ai[0]) $(ai[1]) $(ai[2])
$(pd[0]) $(pu[1]) $expires(min) $expires(max) $expires(x) $K(IPv4) $K(UDP) $K(INET) $K(x) $K(TLS) $K(WS)
$af(x) $af(name) $msg(len) $msg(buf) $msg(lpart) $msg(hdrs) $msg(fline) $msg(body) $msg(fpart) $msg(x)
$nh(u) $nh(U) $nh(d) $nh(p) $nh(P) $nh(q) $rcv(buf) $rcv(len) $rpl(duri) $rpl(dhost) $rpl(dport)
$rpl(dproto) $rpl(dprotoid) $rpl(cntvia) $rpl(x) $snd(ip) $sndto(ip) $sndfrom(ip) $via0(host) $via0(port)
$via0(i) $via0(rport) $via1(host) $via1(port) $via1(proto) $via1(protoid) $via1(branch) $via1(rport)
$via1(received) $via1(i) $viaZ(host) $viaZ(rport) $viaZ(port) $viaZ(branch) $via1(transport) $Mf(0) $Bf(0)
$Sf(1) $branch(uri) $branch(x) $sbranch(count) $ccp(x) $stat(x) $time(x) $msgbuf(99999) $msgbuf(x)
$msgbuf(-1) $sel(cseq) $sel(via[1].host) $sel(via[2].host) $sel(via.branch) $sel(nope) $sel(ruri.user)
$sel(from.uri) $sel(from.uri.host) $sel(from.tag) $sel(f.tag) $sel(method) $sel(cseq.num)
$sel(cseq.method) $sel(to.uri.user) $sel(ruri.params) $sel(src.port) $sel(dst.port) $sel(received.port)
$sel(msg.subject) $sel(msg["X-Multi"]) $sel(contact.uri) $sel(contact.expires) $sel(ruri.hostport)
$sel(ruri.type) $sel(rr.uri) $shv(shared) $var(preset) $var(unset) $vn(unset) $vz(preset) $def(GREETING)
$defn(NUMBER) $defn(GREETING) $def(NOPE) $defn(NOPE) $env(NOPE) $envn(NOPE) $envn(HOME) $avp(nope)
$avp(s:nope) $avp(i:7) $avp(i:x) $avp(x:y) $avp(s:) $xavp(nope) $xavp(a=>) $xavp(a[x]) $xavu(nope)
$xavi(nope) $cnt(x) $cnt($ru) $cnt($avp(nope)) $cnt($xavp(nope)) $TV(x) $version(x) $ksr(x) $timef(abc%%)
$utimef(x)
"""
)

SYNTAX = lines(
    r"""
$( ru )
$(ru )
$(ru)
$(ru{s.len})
$(ru {s.len})
$(ru{s.len} )
$(ru{ s.len })
$(ru{s.len}{s.len})
$(ru{s.len} {s.len})
$(ru{s.len}x)
$ru foo
$rux
$_s(a$rU.b)
$_s($rU.)
$_s(a$rU-b)
$_s(a$rU,b)
$_s(a$rU_b)
$_s(a$(rU)b)
$_s(a$$b)
$_s(a$$$$b)
$_s(a$)
$_s(a$ b)
$_s()
$_s(a b )
$_s($avp(nope))
$_s(x$avp(nope)y$rs)
$_s(a(b)c)
$_s(a)b)
$_s(a(b)
$(_s(a{b}){s.len})
$_s($mf|$sf)
$_s(%ru)
$_s(a\nb)
$(hdr(X-Multi)[ 1 ])
$(hdr(X-Multi)[+1])
$(hdr(X-Multi)[a])
$(hdr(X-Multi)[])
$(hdr(X-Multi)[1)
$(ru[1])
$(ru[*])
$fU(x)
$ru()
$(ru
$(ru{s.len}
$(ru{s.len)
$(ru{s.nope})
$(ru{nope})
$(ru{})
$(ru{s})
$(ru{s.})
$(ru{s.len,3})
$(ru{s.substr})
$(ru{s.substr,1})
$(ru{s.substr,1,2,3})
$(ru{s.substr,a,2})
$(ru{s.substr, 1 , 3 })
$(ru{s.substr,+1,3})
$(ru{s.substr,$var(one),$var(one)})
$(ru{s.substr,$(var(one)),3})
ru
x$ru
$
$()
$(())
$9
$(?)
$(hdr(X-Multi)[1]{s.len})
$(hdr(X-Multi){s.len}[1])
$hdr(X-Multi)[1]
$var(a b)
$var(a.b)
$var()
$var
$(null{s.len})
$(null)
"""
)

VALUES: dict[str, int | str | None] = {
    "empty": "",
    "abc": "abc",
    "mixed": "AbC dEf",
    "number": "12345",
    "negative": "-7",
    "plus": "+12",
    "zeros": "010",
    "spaces": "  \t x y \r\n ",
    "quoted": '"alice"',
    "single": "'bob'",
    "half": '"a',
    "angle": "<sip:a@b>",
    "round": "(x)",
    "square": "[y]",
    "curly": "{z}",
    "multibyte": "héllo wörld €",
    "lines": "a\r\n b\r\n\tc\td",
    "escapes": "a'b\"c\\d",
    "percent": "a%20b%3Bc%zz%4",
    "percent ok": "a%20b%3Bc",
    "user": "a b;c?d/e:f@g#h+i&j=k$l,m",
    "params": 'x[1]/y:z&w+v$u a"b;=',
    "base64": "SGVsbG8gV29ybGQ=",
    "base64 bare": "SGVsbG8gV29ybGQ",
    "hex": "48656C6c6f",
    "hex odd": "486",
    "base58": "72k1xXWG59fYdzSNoA",
    "csv": 'foo,bar"baz',
    "text": "one\ntwo\r\nthree\n",
    "text2": "one\ntwo",
    "phone": "(040)1234/567-89",
    "zero": "0",
    "long": "x" * 100,
    "7bit": "C8329BFD06",
    "slash": "a/b",
    "tilde": "a,b}c{d;e=1 f,$x",
    "xs": "aXbXc",
    "int": 12345,
    "int zero": 0,
    "int negative": -42,
    "null": None,
}

STRING_FUNCTIONS = words(
    r"""
s.len s.int s.md5 s.sha256 s.sha384 s.sha512 s.encode.7bit s.encode.hexa s.decode.hexa s.encode.base58
s.encode.base64 s.decode.base64 s.encode.base64t s.encode.base64url s.encode.base64urlt s.escape.common
s.unescape.common s.escape.user s.unescape.user s.escape.param s.unescape.param s.escape.csv s.numeric
s.tolower s.toupper s.trim s.ltrim s.rtrim s.rmws s.corehash s.corehash,16 s.corehash,0 s.unquote
s.unbracket s.urlencode.param s.urldecode.param s.prefixes s.prefixes,3 s.prefixes,0 s.prefixes.quoted
s.prefixes.quoted,2 line.count line.at,0 line.at,-1 line.at,1 line.at,9 line.at,-9 line.sw,t s.substr,1,1
s.substr,-1,0 s.substr,-3,2 s.substr,0,99 s.substr,99,0 s.substr,-99,0 s.substr,3,-1 s.strip,2 s.strip,0
s.strip,-1 s.strip,99 s.striptail,2 s.striptail,-2 s.striptail,99 s.stripto,; s.stripto,Q s.select,0,,
s.select,1,, s.select,-1,; s.select,99,, s.select,-99,, s.select,1,} s.select,1,ab s.select,1
s.select,$var(two),, s.replace,a,Z s.replace,a,$var(two) s.replace,$var(m),- s.replace,a s.rm,a
s.rm,$var(m) s.rm,1 s.rm,a,b s.count,b s.count,, s.count,ab s.after,X s.after,q s.before,X s.before,q
s.before,$var(m) s.before,, s.ftime,%Y s.ftime,$var(m) s.rm,$avp(nope) s.substr,$avp(nope),1
re.subst,/a/Z/ re.subst,/X/-/g re.subst,/(a),(b)/\2\1/ re.subst,/A/Z/i re.subst,/a/Z/q re.subst,/a/Z
re.subst,/[/Z/ re.subst,/x*/-/g re.subst,/X/\//g re.subst,/X/\n/g re.subst,/X/$$/g re.subst,/b(.)/$rm\1/g
re.subst,#a#Z# re.subst,/^.{1}/-/ re.subst,/[[:digit:]]+/N/g re.subst,/\.|e$/=/g re.subst,/b}c/Z/g
"""
)

URI_VALUES = (
    """
sip:alice:pw@example.org:5070;transport=tcp;lr;ttl=3;user=phone;maddr=1.2.3.4;method=INVITE;r2=on;x=y?H=v
sips:bob@[2001:db8::1]:5061|tel:+1234;phone-context=x|sip:h|sip:u@h;lr=on;x;r2|junk||sip:|urn:service:sos
SIP:Bob@H;TRANSPORT=TCP|<sip:u@h>|sip:u@h:99999|sip:127.0.0.1;transport=ws|sip:u@h;transport=udp
sip:u@1.2.3.4:5060;transport=sctp|sip:+123@h;user=phone|sip:%41lice@h|sip:u@h;transport=zzz|http://x/y
""".strip()
    .replace("\n", "|")
    .split("|")
)

URI_FUNCTIONS = words(
    """
uri.user uri.host uri.domain uri.passwd uri.port uri.params uri.headers uri.transport uri.ttl uri.uparam
uri.maddr uri.method uri.lr uri.r2 uri.scheme uri.tosocket uri.param,x uri.param,lr uri.param,nope
uri.param,$var(m) urialias.encode
"""
)

PARAM_VALUES = [
    "a=1;b=2;c=3", 'a;b=;c="x;y";d', "A=1;a=2", "A=1;b=2", " a = 1 ; b = 2 ", "a = 1 ; b = 2", "a=1&b=2&c",
    "", "x",
    "a=1,b=2", "a=1;", "a=1; ", "a=1 ", " a=1", "=1;b=2", ";;a=1", "a=1;;b=2", "a='q';b", 'a="un;b=2',
    "a=1 b=2",
    "*=3;b=1", "-", "a=", "a=;b", 'a="";b=1', 'a="x y" ;b', "a=1\r\n ;b=2", 'a=x"y;b=1', "a=b=c;d", "a=1;a",
    "a=<x;y>;b", "é=ü;b=1",
]  # fmt: skip

PARAM_FUNCTIONS = words(
    """
param.value,a param.value,b param.value,c param.value,a,& param.in,a param.in,b param.in,zz
param.valueat,0 param.valueat,1 param.valueat,-1 param.valueat,9 param.name,0 param.name,1 param.name,-1
param.name,9 param.count param.value,$var(m) param.count,ab param.name,x param.value
"""
)

ADDRESS_VALUES = [
    '"test" <sip:test@k.net>;tag=1', "sip:a@b", "<sip:a@b>", "Bob Smith <sip:b@c;x=y>;tag=z;q=1",
    '"a,b" <sip:x@y>', "",
    "junk", "sip:a@b;tag=9", '  "sp"  <sip:q@w>  ;x', "*", "127.0.0.1~5060~1", "[::1]~5061~3",
    "1.2.3.4~5060~9",
    "udp:127.0.0.1:5060", "127.0.0.1:5060", "127.0.0.1", "udp:127.0.0.1", "sctp:1.1.1.1:x", "udp:a:b:c",
]  # fmt: skip

ADDRESS_FUNCTIONS = words(
    """
nameaddr.name nameaddr.uri nameaddr.len tobody.uri tobody.display tobody.tag tobody.user tobody.host
tobody.params urialias.decode sock.host sock.port sock.proto sock.touri
"""
)


def get(expression: str) -> Call:
    """Read a variable."""
    return ["pv.get", expression]


def put(expression: str, value: int | str | None) -> Call:
    """Assign to a variable; null unsets it."""
    if value is None:
        return ["pv.unset", expression]
    return ["pv.seti" if isinstance(value, int) else "pv.sets", expression, value]
