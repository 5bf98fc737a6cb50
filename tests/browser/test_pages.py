"""Every page in a real browser: in both themes and two widths, checked by axe, free of complaints. With
CAPSTAN_SCREENSHOTS=1 there are pictures of them in `screenshots/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from finops.alerts.models import AlertRule, Channel, Incident
from finops.budgets.models import Budget
from finops.core.periods import DayRange, next_month
from finops.ledger import selectors as ledger
from finops.months.selectors import closings
from finops.polling.models import PolledFeed
from finops.reconciliation.models import CountingRule
from finops.seats.models import SeatPlan
from routing.recommend.models import Recommendation
from routing.rules.models import RoutingRule
from routing.upstreams.models import Upstream
from tests.browser.conftest import SESSION, Watched
from tests.factories.company import Company

SCREENSHOTS = Path(__file__).parent / "screenshots"
PICTURED = bool(os.environ.get("CAPSTAN_SCREENSHOTS"))
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
_ADVISED = (("switch", "triage"), ("experiment", "summary"))
Visit = Callable[..., Watched]


def addresses(company: Company) -> dict[str, str]:
    last = company.at.date() + timedelta(days=1)
    page = ledger.charges(company.cast.acme.id, DayRange(last - timedelta(days=40), last), limit=200)
    row = next(row for row in page.rows if row.dimensions["person"] and row.counts[1])
    acme = "/o/acme/"
    return {
        "overview": f"{acme}?period=last-30d",
        "spend": f"{acme}spend/?period=last-30d&group=model&team={company.cast.search.id}",
        "spend-pair": f"{acme}spend/?period=last-90d&group=team,model",
        "spend-empty": f"{acme}spend/?customer=999999",
        "charges": f"{acme}charges/?period=last-7d",
        "charge": f"{acme}charges/{row.id}/",
        "filter": f"{acme}spend/filter/?for=spend&pick=model",
        "sessions": f"{acme}sessions/?period=last-30d",
        "session": f"{acme}sessions/one/?session={SESSION}",
        "value": f"{acme}value/?period=last-30d&group=project",
        "value-person": f"{acme}value/?period=last-30d&group=person",
        "unpriced": f"{acme}unpriced/",
        "rules": f"{acme}rules/",
        "rule": f"{acme}rules/new/",
        "shared": f"{acme}shared/",
        "shared-new": f"{acme}shared/new/",
        "caps": f"{acme}caps/",
        "cap": f"{acme}caps/{Budget.objects.get(each='person').id}/",
        "cap-new": f"{acme}caps/new/",
        "cap-change": f"{acme}caps/{Budget.objects.get(each='person').id}/change/",
        "requests": f"{acme}caps/requests/",
        "ask": f"{acme}caps/requests/new/",
        "headroom": f"{acme}headroom/",
        "stops": f"{acme}stops/",
        "stop-new": f"{acme}stops/new/",
        "stop-now": f"{acme}stops/new/?dimension=person&id={company.cast.bob.id}",
        "limit-new": f"{acme}stops/limits/new/",
        "breaker-new": f"{acme}stops/breakers/new/",
        "agents": f"{acme}people/kinds/agent/",
        "incidents": f"{acme}incidents/",
        "incidents-all": f"{acme}incidents/?state=all",
        "incidents-none": f"{acme}incidents/?kind=spend.anomaly",
        "incident": f"{acme}incidents/{Incident.objects.filter(resolved_at__isnull=True).earliest('id').id}/",
        "incident-over": f"{acme}incidents/{Incident.objects.filter(resolved_at__isnull=False).earliest('id').id}/",
        "alert-rules": f"{acme}alerts/rules/",
        "alert-rule-new": f"{acme}alerts/rules/new/?kind=spend.anomaly",
        "alert-rule": f"{acme}alerts/rules/{AlertRule.objects.get(name='Nobody’s spend').id}/",
        "channels": f"{acme}alerts/channels/",
        "channel": f"{acme}alerts/channels/{Channel.objects.get(kind='slack').id}/",
        "channel-new": f"{acme}alerts/channels/new/?kind=webhook",
        **tied(acme),
        **months(acme),
        "sources": f"{acme}sources/",
        "source": f"{acme}sources/anthropic-usage/",
        "source-limited": f"{acme}sources/anthropic-cost/",
        "source-refused": f"{acme}sources/anthropic-usage-2/",
        "source-sent": f"{acme}sources/litellm/",
        "account-choose": f"{acme}accounts/new/",
        "account-new": f"{acme}accounts/new/?account=anthropic",
        "backfill": f"{acme}feeds/{PolledFeed.objects.earliest('id').id}/backfill/",
        "prices": f"{acme}prices/?q=sonnet",
        "model": f"{acme}prices/model/?provider=anthropic&model=claude-sonnet-4-5",
        "discount": f"{acme}prices/discount/",
        "seats": f"{acme}seats/",
        "seat-plan-new": f"{acme}seats/new/",
        "seat-plan": f"{acme}seats/{SeatPlan.objects.earliest('id').id}/",
        "seat-plan-withdraw": f"{acme}seats/{SeatPlan.objects.earliest('id').id}/withdraw/",
        "seat-plan-change": f"{acme}seats/{SeatPlan.objects.earliest('id').id}/change/",
        "people": f"{acme}people/",
        "person": f"{acme}people/who/bob/",
        "projects": f"{acme}people/kinds/project/",
        "keys": f"{acme}keys/",
        "key-new": f"{acme}keys/new/",
        "upstreams": f"{acme}upstreams/",
        "upstream": f"{acme}upstreams/{Upstream.objects.get(name='openai').id}/",
        "upstream-new": f"{acme}upstreams/new/?preset=azure",
        "upstream-change": f"{acme}upstreams/{Upstream.objects.get(name='openai').id}/change/",
        "credential": f"{acme}upstreams/{Upstream.objects.get(name='openai').id}/credential/",
        "wishes": f"{acme}upstreams/wishes/",
        "captures": f"{acme}captures/",
        "capture": f"{acme}captures/calls/{'c' * 24}/",
        "connect": f"{acme}connect/",
        **routing(acme),
        "jobs": f"{acme}jobs/",
        "audit": f"{acme}audit/",
        "settings": f"{acme}settings/",
        "preferences": "/preferences/",
        "gallery": "/ui/",
        "missing": f"{acme}people/who/nobody/",
        "unclear": f"{acme}spend/?period=nonsense",
    }


def tied(acme: str) -> dict[str, str]:
    """What was billed and seen, and the lines that follow from it."""
    rule = CountingRule.objects.get()
    bill = f"period=last-30d&source={rule.source_id}"
    lines = ledger.charges(
        rule.organization_id,
        DayRange(rule.since, rule.since + timedelta(days=60)),
        filters={"source": frozenset({rule.source_id})},
        limit=200,
    ).rows
    unseen, corrected = (next(row for row in lines if any(row.counts) is used) for used in (True, False))
    return {
        "reconciliation": f"{acme}reconciliation/?period=last-30d",
        "reconciliation-none": f"{acme}reconciliation/?period=2025-01",
        "counting-rule": f"{acme}reconciliation/rules/{rule.id}/",
        "charges-unseen": f"{acme}charges/?{bill}",
        "charge-unseen": f"{acme}charges/{unseen.id}/",
        "charge-corrected": f"{acme}charges/{corrected.id}/",
    }


def months(acme: str) -> dict[str, str]:
    """Two that are closed, of which one changed since, and one that can be."""
    second, first = (row.month for row in closings(CountingRule.objects.get().organization_id))
    over = next_month(second)
    return {
        "months": f"{acme}months/",
        "month": f"{acme}months/{second:%Y-%m}/?by=person",
        "month-carried": f"{acme}months/{first:%Y-%m}/",
        "month-over": f"{acme}months/{over:%Y-%m}/",
        "month-close": f"{acme}months/{over:%Y-%m}/close/",
        "month-reopen": f"{acme}months/{second:%Y-%m}/reopen/",
        "source-changed": f"{acme}sources/provider-report/",
    }


def routing(acme: str) -> dict[str, str]:
    """The pages of what is measured, recommended, in force and saved."""
    one = f"{acme}task-types/one/?name="
    switch, trial = (Recommendation.objects.get(kind=kind, task_type=name).id for kind, name in _ADVISED)
    rule, limit = (RoutingRule.objects.get(name=name).id for name in ("support-to-haiku", "local-only"))
    return {
        "recommendations": f"{acme}recommendations/",
        "recommendations-none": f"{acme}recommendations/?kind=host",
        "recommendation": f"{acme}recommendations/{switch}/",
        "recommendation-trial": f"{acme}recommendations/{trial}/",
        "routing-rules": f"{acme}routing-rules/",
        "routing-rule": f"{acme}routing-rules/{rule}/",
        "routing-rule-limit": f"{acme}routing-rules/{limit}/",
        "routing-rule-new": f"{acme}routing-rules/new/",
        "routing-rule-change": f"{acme}routing-rules/{rule}/change/",
        "task-types": f"{acme}task-types/",
        "task-type": f"{one}triage&incumbent=claude-sonnet-4-5&candidate=gpt-4o-mini",
        "task-type-suspect": f"{one}translate",
        "savings": f"{acme}savings/",
        "tiers": f"{acme}tiers/",
    }


def settled(page: Page) -> None:
    page.wait_for_load_state("load")
    for plot in page.locator("[data-plot]").all():
        expect(plot).to_have_class(re.compile("drawn"))


def accessible(page: Page, **asked: Any) -> list[str]:
    options = {**RULES, "resultTypes": ["violations"], **asked}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{page.url}: {one['id']}: {node['html'][:160]} {node['failureSummary'][:240]}"
        for one in found
        for node in one["nodes"][:3]
    ]


def pictured(page: Page, name: str, width: int, theme: str) -> None:
    """For eyes: nothing is compared with it."""
    if PICTURED:
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{theme}.png", full_page=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_clean(visit: Visit, company: Company, width: int) -> None:
    """Contrast differs by theme, and the size of targets by width: nothing is looked at twice."""
    alice = visit(company.cast.alice_login, width=width)
    wrong: list[str] = []
    for name, path in addresses(company).items():
        page = alice.open(path)
        settled(page)
        pictured(page, name, width, "light")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append(f"{name}: wider than the window")
        wrong += accessible(page) if width == 1440 else accessible(page, runOnly=["target-size"])
        if width == 1440 or PICTURED:
            page.emulate_media(color_scheme="dark")
            settled(page)
            pictured(page, name, width, "dark")
            wrong += accessible(page, runOnly=["color-contrast"]) if width == 1440 else []
            page.emulate_media(color_scheme="light")
    expected = ("404 (Not Found)", "400 (Bad Request)")
    wrong += [one for one in alice.complaints if not one.endswith(tuple(f"status of {code}" for code in expected))]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("width", [390, 768, 900, 1024, 1280, 1440, 1920])
def test_the_tiles_fill_every_row(visit: Visit, company: Company, width: int) -> None:
    alice = visit(company.cast.alice_login, width=width)
    for name in ("overview", "spend"):
        page = alice.open(addresses(company)[name])
        settled(page)
        pictured(page, name, width, "light")
        rows: dict[float, list[float]] = {}
        for tile in page.locator(".tiles > *").all():
            box = tile.bounding_box()
            assert box is not None
            rows.setdefault(box["y"], []).append(box["x"] + box["width"])
        assert len({round(max(right)) for right in rows.values()}) == 1, f"{name}: {rows}"
        for text in page.locator(".tiles .tile-label, .tiles .tile-value").all():
            assert text.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), f"{name}: {text.inner_text()}"


def test_a_page_at_320_pixels_scrolls_only_its_tables(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login, width=320)
    for name in (
        "overview",
        "spend",
        "charges",
        "charge",
        "prices",
        "rule",
        "settings",
        "recommendation",
        "savings",
        "tiers",
        "reconciliation",
        "months",
        "month",
        "month-over",
    ):
        page = alice.open(addresses(company)[name])
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), name


def test_without_script_the_pages_answer_as_links_and_forms(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login, script=False)
    page = alice.open("/o/acme/")
    expect(page.locator(".drawing rect").first).to_be_visible()
    page.get_by_label("Period").select_option("last-30d")
    page.get_by_role("button", name="Show", exact=True).click()
    assert "period=last-30d" in page.url
    page.get_by_role("link", name="See all: Teams").click()
    page.get_by_role("link", name="Search", exact=True).first.click()
    assert "team=" in page.url
    page.get_by_role("link", name=re.compile("Remove the filter Team")).click()
    assert "team=" not in page.url.replace("group=team", "")
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_without_script_a_plot_is_drawn_by_the_server(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login, script=False)
    page = alice.open(addresses(company)["recommendation"])
    expect(page.locator("#sequence .drawing path.look-line")).to_be_visible()
    page.locator("#frontier").get_by_text("The figures behind this plot").click()
    expect(page.locator("#frontier").get_by_role("rowheader", name="claude-haiku-4-5")).to_be_visible()
    page.get_by_label("Begin as").select_option("shadow")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Applied: the rule is made.")).to_be_visible()
    assert "/routing-rules/" in page.url


def test_the_question_bar_swaps_the_answer_and_keeps_the_address(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login)
    page = alice.open("/o/acme/spend/?period=last-30d")
    settled(page)
    page.get_by_label("Group by").select_option("model")
    expect(page.get_by_role("heading", level=1)).to_have_text("Spend by model")
    expect(page).to_have_url(re.compile(r"/o/acme/spend/\?period=last-30d&group=model"))
    expect(page.locator("#live")).to_contain_text("updated")
    settled(page)
    page.get_by_text("Add a filter").click()
    page.locator("#picker").get_by_role("link", name="Team", exact=True).click()
    page.locator("#picker").get_by_role("link", name="Search", exact=True).click()
    expect(page.get_by_role("link", name="Remove the filter Team: Search")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Remove the filter Team: Search")).to_have_count(0)
    assert not alice.complaints


def test_a_table_sorts_by_keyboard_and_the_rest_stays_last(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login)
    page = alice.open("/o/acme/spend/?period=last-30d&group=model")
    button = page.get_by_role("button", name="Calls")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("th", has=button)).to_have_attribute("aria-sort", "descending")
    cells = page.locator("#groups tbody tr td:nth-child(2)").all_inner_texts()
    amounts = [int(text.replace(",", "")) for text in cells]
    assert amounts == sorted(amounts, reverse=True)


def test_single_letters_move_about_and_help_lists_them(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login)
    page = alice.open("/o/acme/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Overview")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile("/o/acme/charges/"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"period=\d{4}-\d{2}"))
    page.get_by_label("Period").focus()
    before = page.url
    page.keyboard.press("x")
    assert page.url == before


def test_the_skip_link_is_the_first_stop_and_lands_on_the_content(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login)
    page = alice.open("/o/acme/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_on_a_narrow_screen_the_menu_opens_without_script(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login, width=390, script=False)
    page = alice.open("/o/acme/")
    link = page.get_by_role("link", name="Charges", exact=True)
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(link).to_be_visible()
    link.click()
    assert "/charges/" in page.url


def test_a_bar_opens_what_it_is_made_of(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login)
    page = alice.open("/o/acme/?period=last-30d")
    settled(page)
    # Half a dollar is not $500m.
    amounts = page.locator(".plot .ytick text").all_text_contents()
    assert amounts
    assert all(re.fullmatch(r"\$[\d.,]+k?", one) for one in amounts), amounts
    page.locator(".plot .bars .point").first.click(force=True)
    expect(page).to_have_url(re.compile(r"/o/acme/spend/\?period=last-30d&.*team=\d+"))


def test_the_lines_for_a_client_are_copied(visit: Visit, company: Company) -> None:
    alice = visit(company.cast.alice_login)
    alice.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = alice.open("/o/acme/connect/")
    page.get_by_role("button", name="Copy: Claude Code").click()
    expect(page.locator("#live")).to_have_text("Claude Code is copied")
    assert "ANTHROPIC_BASE_URL=" in page.evaluate("navigator.clipboard.readText()")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    page.get_by_role("button", name="Copy: Aider").click()
    expect(page.locator("#live")).to_have_text("Aider is selected")
    assert "OPENAI_API_BASE=" in page.evaluate("window.getSelection().toString()")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_before_the_login_are_clean(visit: Visit, company: Company, theme: str) -> None:
    nobody = visit(company.cast.alice_login, theme=theme)
    nobody.page.context.clear_cookies()
    for path in ("/accounts/login/", "/accounts/password/reset/", "/api/docs/"):
        page = nobody.open(path)
        pictured(page, path.strip("/").replace("/", "-"), 1440, theme)
        assert not accessible(page), path
    assert not nobody.complaints
