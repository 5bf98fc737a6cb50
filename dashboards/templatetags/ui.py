"""The components of the pages, as template tags. Each has a place in the gallery at /ui/."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django import template
from django.forms import BoundField, CheckboxInput
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from dashboards.charts.as_plotly import plotted
from dashboards.charts.as_svg import sketched
from dashboards.charts.plot import PlotSpec
from dashboards.templatetags import figures

register = template.Library()

_STATE_TONES: Final = {
    "done": "good",
    "active": "good",
    "settled": "good",
    "approved": "good",
    "alert": "info",
    "downgrade": "info",
    "hard": "info",
    "refused": "bad",
    "attributed": "good",
    "priced": "good",
    "running": "info",
    "queued": "info",
    "estimated": "info",
    "planned": "info",
    "stopped": "warn",
    "unattributed": "warn",
    "unpriced": "warn",
    "expiring": "warn",
    "partial": "warn",
    "open": "warn",
    "failed": "bad",
    "revoked": "bad",
    "expired": "bad",
    "conflict": "bad",
    "critical": "bad",
    "warning": "warn",
    "info": "info",
    "acknowledged": "info",
    "resolved": "good",
    "delivered": "good",
    "waiting": "warn",
    "sending": "info",
    # Of routing.
    "pass": "good",
    "fail": "bad",
    "suspect": "bad",
    "in force": "good",
    "switched off": "warn",
    "rolled back": "bad",
    "paused": "warn",
    "shadow": "info",
    "canary": "info",
    "ramp": "info",
    "full": "good",
    "applied": "good",
    "proposed": "warn",
    "watching": "info",
    "drifting": "bad",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    return mark_safe(render_to_string(f"components/icons/{name}.svg"))  # noqa: S308  our own files


@register.simple_block_tag
def panel(content: SafeString, title: str = "", **options: Any) -> str:
    """A sheet with a title. Options: id, note, label, flush, state (`loading`), href and link (a way onwards)."""
    return render_to_string("components/panel.html", {"content": content, "title": title, **options})


@register.simple_block_tag
def band(content: SafeString, tone: str = "info") -> str:
    """One line of news across a sheet: info, good, warn or bad."""
    return render_to_string("components/band.html", {"content": content, "tone": tone})


@register.simple_block_tag
def empty(content: SafeString, kind: str = "yet", title: str = "") -> str:
    """Nothing to show, and which nothing: `yet` (with the next step), `filter` (with "clear"), `permission`."""
    return render_to_string("components/empty.html", {"content": content, "kind": kind, "title": title})


@register.simple_block_tag
def problem(content: SafeString, title: str = "This did not load", reference: str = "") -> str:
    """What failed, in one sentence, with a way to try again in the content."""
    return render_to_string("components/problem.html", {"content": content, "title": title, "reference": reference})


@register.simple_block_tag
def table(content: SafeString, caption: str, wide: bool = False) -> str:
    """A region that scrolls by itself and can be reached by keyboard, named by the table's caption."""
    return render_to_string("components/table.html", {"content": content, "caption": caption, "wide": wide})


@register.simple_block_tag
def snippet(content: SafeString, label: str) -> str:
    """Lines to be copied as they are; where there is script, with a button that does."""
    return render_to_string("components/snippet.html", {"content": content, "label": label})


@register.simple_tag
def skeleton(lines: int = 4) -> SafeString:
    return format_html(
        '<div class="skeleton" aria-hidden="true">{}</div>',
        mark_safe("<span></span>" * lines),  # noqa: S308
    )


@register.simple_tag
def pill(word: str, tone: str = "") -> SafeString:
    """A state as a word; the colour only repeats it."""
    return format_html('<span class="pill {}">{}</span>', tone or _STATE_TONES.get(word.lower(), ""), word)


@register.simple_tag
def delta(now: Decimal, before: Decimal | None, currency: str = "") -> SafeString | str:
    """Change against the period before: a percentage with both bases in the title, an amount where the base is tiny."""
    if before is None:
        return ""
    shown = figures.money if currency else _plain
    title = f"{shown(now, currency)} against {shown(before, currency)}"
    moved = now - before
    tone = "more" if moved > 0 else "less" if moved < 0 else ""
    relative = figures.change(Decimal(now), Decimal(before))
    if not moved:
        text = "no change"
    elif not before:
        text = "new"
    elif relative is None:
        text = ("+" if moved > 0 else "") + shown(moved, currency)
    elif abs(relative) >= 10:
        text = f"×\u202f{figures.number(now / before, 1)}"
    else:
        text = ("+" if moved > 0 else "") + figures.percent(relative)
    arrow = {"more": "\u2191", "less": "\u2193", "": ""}[tone]
    return format_html(
        '<span class="delta {}" title="{}"><span class="arrow" aria-hidden="true">{}</span> {}</span>',
        tone,
        title,
        arrow,
        text,
    )


def _plain(value: Decimal, _currency: str) -> str:
    return figures.number(value)


@register.simple_tag
def share_bar(part: Decimal, whole: Decimal) -> SafeString:
    """A bar as wide as the share; decoration beside the figure, so hidden from readers of the screen."""
    share = figures.share(part, whole) or Decimal(0)
    wide = figures.number(min(max(share, Decimal(0)), Decimal(1)) * 100, 2)
    return format_html(
        '<svg class="share" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="5"/></svg>',
        wide,
    )


@register.simple_tag
def gauge_bar(gauge: Any) -> SafeString:
    """How full an account is: what is spent, what gateways hold, and a tick at each threshold. Decoration, as above."""
    limit = gauge.row.limit_amount
    spent = min(max(gauge.row.spent / limit, Decimal(0)), Decimal(1)) if limit else gauge.used
    held = min(max(gauge.used - spent, Decimal(0)), 1 - spent)
    ticks = format_html_join(
        "", '<line x1="{0}" x2="{0}" y1="0" y2="6"/>', ((one,) for one in gauge.thresholds if one < 100)
    )
    return format_html(
        '<svg class="share gauge {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="6"/><rect class="held" x="{}" width="{}" height="6"/>{}</svg>',
        gauge.tone,
        *(figures.number(one * 100, 2) for one in (spent, spent, held)),
        ticks,
    )


@register.simple_tag
def share_of(part: Decimal, whole: Decimal) -> str:
    return figures.percent(figures.share(part, whole))


@register.inclusion_tag("components/tile.html")
def tile(label: str, value: str, **options: Any) -> dict[str, Any]:
    """A figure with its name. Options: href, title (the exact value), note, spark (a path), lead."""
    return {"label": label, "value": value, **options}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """A form field with label, hint and errors tied to it."""
    return {"field": bound, "check": isinstance(bound.field.widget, CheckboxInput)}


@register.inclusion_tag("components/chart.html")
def chart(spec: Any, drawing: Any, data: Any, behind_caption: str = "The figures behind this chart") -> dict[str, Any]:
    """A figure: the finding in a sentence, the bars, a legend of links, and the same rows as a table."""
    return {"spec": spec, "drawing": drawing, "data": data, "behind_caption": behind_caption}


@register.inclusion_tag("components/plot.html")
def plot(spec: PlotSpec) -> dict[str, Any]:
    """A figure of two measures: the finding in a sentence, the curves, what they are, and the same rows as a table."""
    return {"spec": spec, "sketch": sketched(spec), "data": plotted(spec)}


@register.inclusion_tag("components/pager.html")
def pager(newer: str, older: str, label: str = "Pages") -> dict[str, Any]:
    """Addresses of the first page and of the next one, '' where there is none."""
    return {"newer": newer, "older": older, "label": label}


@register.inclusion_tag("components/progress.html")
def job_progress(done: int, total: int | None, label: str) -> dict[str, Any]:
    part = figures.share(Decimal(done), Decimal(total)) if total else None
    return {"done": done, "total": total, "label": label, "percent": part}


@register.filter
def at(values: Any, index: Any) -> Any:
    """`mapping|at:key`, `list|at:index`; '' where there is nothing."""
    try:
        return values[index]
    except (KeyError, IndexError, TypeError):
        return ""


@register.filter
def words(value: object) -> str:
    """`cache_write_5m` as `Cache write 5m`."""
    text = str(value).replace("_", " ")
    return text[:1].upper() + text[1:]
