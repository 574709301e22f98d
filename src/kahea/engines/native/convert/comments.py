"""The comments of a cfg, each of which finds one place in what it becomes."""

from __future__ import annotations

from kahea.engines.native.tree import Comment, Place, Program


class Comments:
    """Those of one program; what was taken is not given again."""

    def __init__(self, program: Program) -> None:
        self._by_file: dict[str, list[Comment]] = {}
        for comment in program.comments:
            self._by_file.setdefault(comment.place.file, []).append(comment)
        self._sources = program.sources
        self._taken: set[int] = set()

    def left(self, file: str) -> list[Comment]:
        """Those of a file that have no place yet, in order."""
        return [comment for comment in self._by_file.get(file, []) if id(comment) not in self._taken]

    def lines_of(self, file: str) -> list[int]:
        """The lines on which comments of a file begin."""
        return [comment.place.line for comment in self._by_file.get(file, [])]

    def take(self, comment: Comment) -> list[str]:
        """A comment as lines of Python or TOML."""
        self._taken.add(id(comment))
        text = comment.text.strip()
        if text.startswith("/*"):
            lines = text[2:].removesuffix("*/").splitlines()
            return [f"# {line.strip().lstrip('*').strip()}".rstrip() for line in lines if line.strip(" *\t")]
        return [f"# {text.lstrip('#/').strip()}".rstrip()] if text.strip("#/ \t") else []

    def above(self, place: Place, until: int | None = None) -> list[Comment]:
        """The comments above a place: all behind the line `until`, or without it those that nothing parts from it."""
        found: list[Comment] = []
        line = place.line
        for comment in reversed(self.left(place.file)):
            if comment.place.line >= place.line:
                continue
            if comment.place.line <= until if until is not None else comment.place.end_line < line - 1:
                break
            if until is None and not self._alone(comment):
                break
            line = comment.place.line
            found.append(comment)
        return found[::-1]

    def beside(self, place: Place) -> str:
        """The comment on the last line of something, with the space before it."""
        for comment in self.left(place.file):
            if comment.place.line == place.end_line:
                lines = self.take(comment)
                if len(lines) == 1:
                    return "  " + lines[0]
        return ""

    def _alone(self, comment: Comment) -> bool:
        """Whether nothing stands before a comment on its line."""
        lines = self._sources.get(comment.place.file, [])
        return not lines[comment.place.line - 1][: comment.place.column - 1].strip()
