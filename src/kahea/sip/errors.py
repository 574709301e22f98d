"""What can be wrong with a message, and the response that says so."""


class ParseError(ValueError):
    """Bytes that are not what RFC 3261 calls for.

    `status` is the response that fits (400 unless a better one exists), `reason` says what is wrong in words
    fit for a reason phrase, `offset` where in the parsed bytes, or -1.
    """

    def __init__(self, reason: str, status: int = 400, offset: int = -1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.offset = offset
