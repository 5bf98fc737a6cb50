"""A call that somebody else makes, or only asks about: what the text that is shown of it says, and what it is told. No
Django.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from routing.classify.hot import LONGEST_NAME as LONGEST_TOOL
from routing.classify.hot import Classifier, Prospects
from routing.classify.reading import Call, read
from routing.classify.sensitivity import LABEL, judge
from routing.classify.types import UNKNOWN, Content, Foreseen
from routing.classify.words import Counts
from routing.rules.hot import Decided


class Shown:
    """What is worked out of a text once, when somebody asks. `text` is None where none is shown; `whole` is whether it
    is all that is sent, for else nobody can tell what the rest says. `recent_tools` were used last, newest last.
    """

    def __init__(
        self,
        text: str | None,
        *,
        tools: int,
        depth: int,
        tags: Mapping[str, str],
        whole: bool,
        recent_tools: Sequence[str] = (),
    ) -> None:
        self._text = text
        self._tools = tools
        self._depth = depth
        self._tags = tags
        self._whole = whole
        self._recent_tools = recent_tools

    @cached_property
    def read(self) -> Call:
        said = [{"role": "user", "content": self._text}]
        found = read(said, tools=self._tools, depth=self._depth, tags=self._tags)
        used = tuple(one[:LONGEST_TOOL] for one in self._recent_tools)
        return found._replace(known=found.known._replace(recent_tools=used)) if used else found

    def words(self) -> Counts | None:
        return dict(self.read.known.words) or None if self._text else None

    def sensitive(self) -> bool:
        """By its label, and by what is found in the text; what nobody can tell is sensitive."""
        label = self._tags.get(LABEL, "")
        rest = () if self._whole and self._text is not None else ("what is not shown",)
        content = Content(() if self._text is None else (self._text,), rest)
        return judge(content, labels=[label] if label else []).stays_local

    def task_type(self, said: str, classifier: Classifier | None) -> tuple[str, float | None]:
        """What is said of it; else a guess that is sure enough, with its confidence."""
        if said or not self._text or classifier is None:
            return said, None
        guess = classifier.guess(self.read.known)
        return guess.task_type if guess.task_type != UNKNOWN else "", guess.confidence

    def foreseen(self, prospects: Prospects | None) -> Foreseen | None:
        """How difficult it is, and how likely each model does it; None of a text that is not shown."""
        return prospects.foresee(self.read.known) if self._text and prospects is not None else None


def told(decided: Decided) -> dict[str, Any]:
    """What the rules say of a call, and why."""
    rule = decided.rule
    return {
        "rule": rule.rule.name if rule else None,
        "rule_id": rule.rule_id if rule else None,
        "version": rule.version if rule else None,
        "arm": decided.arm,
        "would": decided.would or None,
        "why": decided.why or "no rule that chooses is for this call",
        "passed_over": [{"model": model, "why": why} for model, why in decided.passed_over],
        "propensity": decided.propensity,
        "within": [said for one in decided.limits if (said := msgspec.to_builtins(one))],
    }
