"""Wire bytes and script text. Below `routing` all is bytes; scripts and modules see `str`, any byte surviving."""


def text(data: bytes) -> str:
    """Bytes of a message as a script sees them; bytes that are no UTF-8 survive as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def wire(value: str) -> bytes:
    """A script's text as it goes on the wire: the inverse of `text`."""
    return value.encode("utf-8", "surrogateescape")
