"""What the standard transformations do, for the reference: their declarations are tables and lambdas, with no room for
it. A line has the name, its parameters' names, and the description."""

from __future__ import annotations

from dataclasses import replace

from kahea.routing.pv.chain import Transformation

_TEXT = """
s.len | | The length in bytes.
s.int | | The number that a text is, 0 for an empty one.
s.intv | | The number that a text is; a text that is none stays.
s.substr | offset length | A part: the offset may be negative, from the end; a length of 0 is all that follows.
s.select | index separator | A field between separators; a negative index counts from the end.
s.selectsw | index | A field between runs of white space; a negative index counts from the end.
s.strip | count | Without its first characters.
s.striptail | count | Without its last characters.
s.stripto | character | What begins with the first such character.
s.prefixes | longest | All prefixes, parted by commas, up to a length.
s.prefixes.quoted | longest | As `s.prefixes`, each in single quotes.
s.replace | match by | Each `match` replaced.
s.rm | match | Each `match` removed.
s.ftime | format | Local time of a Unix time, by a strftime format.
s.numeric | | The digits alone.
s.tolower | | In lower case (ASCII).
s.toupper | | In upper case (ASCII).
s.trim | | Without white space at both ends.
s.ltrim | | Without white space at the beginning.
s.rtrim | | Without white space at the end.
s.rmws | | Without any white space.
s.rmhdws | | Folded header lines as one line, each fold as one space.
s.rmhlws | | Folded header lines as one line, each fold as nothing.
s.unquote | | Without the quotes, single or double, around it.
s.unbracket | | Without the brackets of any kind around it.
s.count | character | How often a character is in it.
s.after | character | What follows the first such character, an empty text if there is none.
s.rafter | character | What follows the last such character, an empty text if there is none.
s.before | character | What stands before the first such character, all if there is none.
s.rbefore | character | What stands before the last such character, all if there is none.
s.fmtlines | width padding | In lines of a width, each but the first after so many spaces.
s.fmtlinet | width padding | In lines of a width, each but the first after so many tabulators.
s.charat | index | A character; a negative index counts from the end.
s.byteat | index | A byte as a number; a negative index counts from the end.
s.corehash | size | The hash that Kamailio's tables use, cut to a table of that size (a power of two).
s.encode.hexa | | In hexadecimal digits.
s.decode.hexa | | What hexadecimal digits stand for.
s.encode.7bit | | Septets packed as in short messages (3GPP TS 23.038), in hexadecimal digits.
s.decode.7bit | | What such septets stand for.
s.encode.base58 | | In Base58.
s.decode.base58 | | What Base58 stands for.
s.encode.base64 | | In Base64.
s.encode.base64t | | In Base64 without the padding.
s.encode.base64url | | In Base64url.
s.encode.base64urlt | | In Base64url without the padding.
s.decode.base64 | | What Base64 stands for.
s.decode.base64t | | What Base64 without padding stands for.
s.decode.base64url | | What Base64url stands for.
s.decode.base64urlt | | What Base64url without padding stands for.
s.md5 | | The MD5 digest in hexadecimal digits.
s.sha1 | | The SHA-1 digest in hexadecimal digits.
s.sha256 | | The SHA-256 digest in hexadecimal digits.
s.sha384 | | The SHA-384 digest in hexadecimal digits.
s.sha512 | | The SHA-512 digest in hexadecimal digits.
s.crc32 | | The CRC-32 checksum, as a number.
s.keccak | bits | The Keccak digest of 224, 256, 384 or 512 bits in hexadecimal digits.
s.sha3 | bits | The SHA-3 digest of 224, 256, 384 or 512 bits in hexadecimal digits.
s.escape.common | | Quotes, backslashes and NUL with a backslash before them.
s.unescape.common | | Back from `s.escape.common`.
s.escape.crlf | | Ends of lines as `\\r` and `\\n`.
s.unescape.crlf | | Back from `s.escape.crlf`.
s.escape.csv | | In double quotes, as a field of CSV.
s.escape.user | | Percent-encoded as the user of a SIP URI (RFC 3261 §25.1).
s.unescape.user | | Back from `s.escape.user`.
s.escape.param | | Percent-encoded as a parameter of a SIP URI (RFC 3261 §25.1).
s.unescape.param | | Back from `s.escape.param`.
s.urlencode.param | | Encoded as a value in a URL's query.
s.urldecode.param | | Back from `s.urlencode.param`.
val.json | | What stands between the quotes of a JSON string; an empty text for null.
val.jsonqe | | A JSON value: a number, or a string with its quotes; `""` for null.
val.n0 | | 0 for null.
val.ne | | An empty text for null.
num.fdigit | | The first digit of a number.
num.ldigit | | The last digit of a number.
param.value | name separator | The value of a parameter.
param.in | name separator | 1 if there is a parameter of that name, else 0.
param.valueat | index separator | The value of the parameter at an index; a negative one counts from the end.
param.name | index separator | The name of the parameter at an index; a negative one counts from the end.
param.count | separator | How many parameters there are.
line.count | | How many lines there are.
line.at | index | The line at an index; a negative one counts from the end.
line.sw | prefix | The first line that begins so.
uri.user | | The user of a URI.
uri.host | | The host of a URI.
uri.domain | | The same as `uri.host`.
uri.passwd | | The password of a URI.
uri.port | | The port of a URI, as a number.
uri.params | | The parameters of a URI.
uri.param | name | The value of a parameter of a URI.
uri.rmparam | name | The URI without a parameter.
uri.headers | | The headers of a URI.
uri.transport | | The transport that a URI names.
uri.uparam | | The parameter `user` of a URI.
uri.ttl | | The parameter `ttl` of a URI.
uri.maddr | | The parameter `maddr` of a URI.
uri.method | | The parameter `method` of a URI.
uri.lr | | The parameter `lr` of a URI.
uri.r2 | | The parameter `r2` of a URI.
uri.scheme | | The scheme of a URI.
uri.tosocket | | The listener that a URI stands for, as `proto:host:port`.
uri.duri | | Scheme, host, port and transport of a URI: where it leads.
uri.saor | | Scheme, user and host of a URI: an address of record.
uri.suri | | Scheme, user, host, port and transport of a URI.
urialias.encode | | A URI as `address~port~protocol`, what nathelper's alias holds.
urialias.decode | | The URI that such an alias stands for.
sock.host | | The host of `proto:host:port`.
sock.port | | The port of `proto:host:port`.
sock.proto | | The protocol of `proto:host:port`.
sock.touri | | `proto:host:port` as a URI.
nameaddr.name | | The display name of `"name" <uri>`, as written.
nameaddr.uri | | The URI of `"name" <uri>`.
nameaddr.len | | The length of the first `"name" <uri>`.
tobody.uri | | The URI of a header such as To.
tobody.display | | The display name of a header such as To.
tobody.tag | | The tag of a header such as To.
tobody.user | | The user of the URI of a header such as To.
tobody.host | | The host of the URI of a header such as To.
tobody.params | | The parameters of a header such as To.
re.subst | expression | The substitution `/match/by/flags` made in a text.
"""


def described(transformations: tuple[Transformation, ...]) -> tuple[Transformation, ...]:
    """With what each does and what its parameters are called. Raises KeyError for one that is not described."""
    lines = ([part.strip() for part in line.split("|", 2)] for line in _TEXT.strip().split("\n"))
    told = {name: (tuple(names.split()), doc) for name, names, doc in lines}
    return tuple(replace(each, names=told[each.name][0], doc=told[each.name][1]) for each in transformations)
