"""Who does a thing: a person at the keyboard, a key, or the house itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`reference` is `user:7`, `key:cap_ab12cd34`, `system:rerate` or `config:capstan.toml`; `label` is what a person
    reads.
    """

    reference: str
    label: str = ""


def system(name: str) -> Actor:
    """The house itself, at a named duty."""
    return Actor(f"system:{name}", "Capstan")
