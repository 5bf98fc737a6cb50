"""The colours of the pages can be read: WCAG contrast of every text and series token, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "dashboards" / "static" / "dashboards" / "css"
_PAIR = re.compile(r"--([a-z0-9-]+):\s*light-dark\(\s*(#[0-9a-f]{6})\s*,\s*(#[0-9a-f]{6})\s*\)")
THEMES = {"light": 1, "dark": 2}

PAPERS = ("paper", "panel")
TEXTS = ("ink", "ink-soft", "ink-faint", "accent", "accent-deep", "up", "down", "good", "warn", "bad", "info")
SERIES = (*(f"series-{number}" for number in range(1, 9)), "series-other")
# Text on a ground of its own.
ON = (
    ("on-accent", "accent"), ("on-accent", "accent-deep"), ("accent", "accent-wash"), ("good", "good-wash"),
    ("warn", "warn-wash"), ("bad", "bad-wash"), ("info", "info-wash"), ("ink", "sunk"), ("ink-soft", "sunk"),
    ("ink", "hover"), ("ink-soft", "hover"), ("ink-faint", "hover"), ("up", "hover"), ("ink-faint", "sunk"),
)  # fmt: skip


def tokens() -> dict[str, tuple[str, str]]:
    text = (CSS / "tokens.css").read_text(encoding="utf-8")
    return {found[1]: (found[2], found[3]) for found in _PAIR.finditer(text)}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colour(name: str, theme: str) -> str:
    return tokens()[name][THEMES[theme] - 1]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_has_four_and_a_half_to_one(text: str, paper: str, theme: str) -> None:
    assert contrast(colour(text, theme), colour(paper, theme)) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "ground"), ON)
def test_text_on_its_own_ground_has_four_and_a_half_to_one(text: str, ground: str, theme: str) -> None:
    assert contrast(colour(text, theme), colour(ground, theme)) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("line", [*SERIES, "line-strong", "accent"])
def test_bars_borders_and_the_focus_ring_have_three_to_one(line: str, paper: str, theme: str) -> None:
    assert contrast(colour(line, theme), colour(paper, theme)) >= 3


def test_no_sheet_but_the_tokens_names_a_colour() -> None:
    for sheet in sorted(CSS.glob("*.css")):
        if sheet.name not in {"tokens.css", "print.css"}:
            assert not re.search(r"#[0-9a-f]{3,8}\b", sheet.read_text(encoding="utf-8")), sheet.name


def test_every_token_used_is_defined() -> None:
    text = (CSS / "tokens.css").read_text(encoding="utf-8")
    defined = set(re.findall(r"--([a-z0-9-]+):", text))
    used = {
        name for sheet in CSS.glob("*.css") for name in re.findall(r"var\(--([a-z0-9-]+)", sheet.read_text("utf-8"))
    }
    assert used <= defined
