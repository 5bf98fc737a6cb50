"""What is wrong with a capstan.toml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from finops.core.errors import FinopsError, Invalid


class FileInvalid(Invalid):
    """A file that cannot be: every mistake with its place in it. Nothing of it is taken."""

    code = "laptop.file_invalid"

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


class SaidWrong(Invalid):
    """A field of the file that cannot be; `field` says which."""

    code = "laptop.said_wrong"


class Mistakes:
    """Gathers what is wrong, so that a person mends all of it at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, place: str, message: str) -> None:
        self.found.append(f"{place}: {message}")

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """What is refused inside is a mistake at this place."""
        try:
            yield
        except FinopsError as refused:
            self.add(f"{place}.{refused.field}" if refused.field else place, refused.message)

    def refuse(self) -> None:
        """Raises FileInvalid where there was a mistake."""
        if self.found:
            raise FileInvalid(self.found)
