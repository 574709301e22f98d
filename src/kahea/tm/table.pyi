"""Types of the table of server transactions."""

class Requests:
    count: int
    def __len__(self) -> int: ...
