"""A letter as text: a subject, and paragraphs."""

from __future__ import annotations

from finops.alerts.types import Letter, Severity, Story

_MARKS = {Severity.CRITICAL: "Critical", Severity.WARNING: "Warning", Severity.INFO: "Note"}


def subject(letter: Letter) -> str:
    if letter.test:
        return f"Test from Capstan for {letter.organization}"
    if len(letter.stories) == 1 and not letter.more:
        # On one line, whatever a session or a model calls itself.
        return " ".join(f"[{letter.organization}] {letter.stories[0].title}".split())[:200]
    return f"[{letter.organization}] {len(letter.stories) + letter.more} alerts"


def body(letter: Letter) -> str:
    if letter.test:
        return "This is how alerts arrive here. Nothing is wrong."
    parts = [_paragraph(one) for one in letter.stories]
    if letter.more:
        parts.append(f"And {letter.more:,} more.")
    return "\n\n".join(parts)


def _paragraph(story: Story) -> str:
    lines = [f"{_MARKS[Severity(story.severity)]}: {story.title}", *story.sentences]
    if story.seen > 1:
        lines.append(f"Seen {story.seen:,} times since {story.opened_at:%-d %b %Y %H:%M} UTC.")
    return "\n".join([*lines, story.href] if story.href else lines)
