"""What the service answers: an RTJSON document, or the reply that the caller is to get."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

#: More routes than this for one request are refused.
MAX_ROUTES: Final = 64

Text = Annotated[str, msgspec.Meta(max_length=4096)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]


class HeaderParty(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new From or To for one route."""

    display: Text = ""
    uri: Text = ""


class RouteHeaders(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """The headers of one route; `extra` has whole lines, each with its CRLF."""

    from_: HeaderParty | None = None
    to: HeaderParty | None = None
    extra: Text = ""


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """One destination (module rtjson). Timers are in milliseconds."""

    uri: Text = ""
    dst_uri: Text = ""
    path: Text = ""
    socket: Text = ""
    headers: RouteHeaders | None = None
    branch_flags: int = 0
    fr_timer: Milliseconds = 0
    fr_inv_timer: Milliseconds = 0


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A final refusal."""

    code: Annotated[int, msgspec.Meta(ge=300, le=699)]
    reason: Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[^\r\n]*$")] = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either `routes`, tried as `routing` says, or `reply`. Other fields are left alone."""

    version: Text = "1.0"
    routing: Literal["serial", "parallel"] = "serial"
    routes: Annotated[list[Route], msgspec.Meta(max_length=MAX_ROUTES)] = []
    reply: Reply | None = None


def document(answer: Answer) -> str:
    """The routes of an answer, as rtjson reads them."""
    return msgspec.json.encode({"routing": answer.routing, **msgspec.to_builtins(answer)}).decode()


def parse_answer(data: bytes) -> Answer:
    """Raises ValueError for what is no answer, with what is wrong with it."""
    try:
        answer = msgspec.json.decode(data, type=Answer)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if bool(answer.routes) == (answer.reply is not None):
        raise ValueError("it needs either routes or a reply")
    for n, route in enumerate(answer.routes):
        if not route.uri and not route.dst_uri:
            raise ValueError(f"route {n} has neither uri nor dst_uri")
        extra = route.headers.extra if route.headers is not None else ""
        if extra and not extra.endswith("\r\n"):
            raise ValueError(f"the extra headers of route {n} do not end with CRLF")
    return answer
