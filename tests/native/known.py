"""Where the language differs here from Kamailio 5.6.3 on purpose, or where 5.6.3 itself is wrong.

A program is one of these if it contains the text. `test_differential.py` holds that each still differs: one that no
longer does has to go.
"""

from __future__ import annotations

KNOWN: dict[str, str] = {
    "2147483647; $avp(z)=$var(q)+1": "numbers have 64 bits here, as since Kamailio 5.7; 5.6 wraps at 32",
    "$avp(z)=2147483648;": "the same, of a literal",
    "$avp(z)=0xffffffff": "the same, of a hexadecimal literal",
    "2147483647+1": "the same, of constants",
    '"99999999999"; $avp(z)=(int)': "the same, of text",
    '$var(q1)="0XfF"': "the same, of hexadecimal text",
    "$var(k) = 1 + selval(1, $var(i), 2);": "selval is no number in 5.6.3, unless all of it is constant",
    '$var(n)="NOPE"; $var(k) = route($var(n));': "a route that is not there leaves its code in $rc",
    "$var(o) = $oP;": "a transport has a number behind its text in Kamailio, which arithmetic sees",
    "$var(o) = $rP;": "the same, of the Request-URI's transport",
    "$var(o) = $nh(P);": "the same, of the next hop's",
    "$var(o) = $rz;": "the same, of the kind of URI",
    "$var(o) = $envn(HOME);": "5.6.3 gives the text of a variable that is no number, while saying that it is a number",
    "$var(o) = $sel(ruri.params);": "5.6.3 does not resolve this select, which its list has",
    "$var(o) = $sel(contact.uri);": "5.6.3 reads Contact's values from the last",
    "$var(o) = $sel(contact.expires);": "5.6.3 reads Contact's values from the last",
}
