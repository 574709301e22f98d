"""Messages with digest credentials, made comparable: the response is judged, and what is made up left out."""

from __future__ import annotations

import re
from collections.abc import Callable

from processes import Server

from kahea.sip.digest import Credentials, parse_credentials, response_of


def judged(server: Server, message: str, secret_of: Callable[[Credentials], bytes]) -> str:
    """A request with `right` or `wrong` in the place of its response, by the HA1 that `secret_of` gives."""
    method = message.partition(" ")[0].encode()

    def judge(found: re.Match[str]) -> str:
        credentials = parse_credentials(server.fill(found[1]).encode())
        right = response_of(credentials, method, secret_of(credentials)) == credentials.response
        return found[0].replace(credentials.response.decode(), "right" if right else "wrong")

    message = re.sub(r"Authorization: (Digest .*response=.*)(?=\r\n)", judge, message)
    return re.sub(r'(?<=cnonce=")[0-9a-f]+', "N", message)
