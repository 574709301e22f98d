"""Types of the search for words."""

from collections.abc import Callable

class AnyOf:
    """Finds any of some words of ASCII, in any case of letters if `ignore_case`. `search(text)` looks through all other
    texts, whose letters may have more cases."""

    def __init__(self, words: tuple[str, ...], ignore_case: bool, search: Callable[[str], object]) -> None: ...
    def search(self, text: str) -> bool | None:
        """True if one is found, else None."""
