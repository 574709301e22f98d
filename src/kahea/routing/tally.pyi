"""Types of the compiled counters of requests and replies."""

class Tally:
    """Counts by the names of Kamailio's core statistics."""

    def names(self) -> list[str]:
        """The statistics that it has."""
    def value(self, name: str) -> int:
        """One of them. Raises KeyError."""
