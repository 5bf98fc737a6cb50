"""GitHub's billing of Copilot, after its REST API: AI credits of an organization and of each of its people, all that is
billed, and the list of seats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_ROOT = "/organizations/acme/settings/billing/"
_PAGE = 2
_HOLDERS = ("ann", "bob-acme", "cy")
# Somebody who had a seat, and is listed no more.
_GONE = "dee"
_MODELS = ("GPT-5.2", "Claude Opus 5.5")
_PICO_OF_CENT = 10**10
# What the pool pays of a credit's cent is a half of the first model's, and nothing of the second's.
_POOLED = {"GPT-5.2": 2}


class CopilotReports(Reporting):
    """Whole cents: a credit is one."""

    account: ClassVar[str] = "copilot"
    owing: ClassVar[tuple[str, ...]] = ("copilot-credits", "copilot-seats")
    twins: ClassVar[Mapping[str, str]] = {"copilot-credits": "copilot-credits-total"}
    settings: ClassVar[Mapping[str, str]] = {"organization": "acme"}

    def make(self) -> None:
        begin = (self.until - timedelta(days=self.days)).date()
        self.days_told = [begin + timedelta(days=number) for number in range(self.days)]
        # Credits by day, login and model. Of the first day Dee has used nothing.
        self.credits: dict[tuple[date, str, str], int] = {
            (day, login, model): 100 + 10 * place + 2 * number
            for place, day in enumerate(self.days_told)
            for number, login in enumerate((*_HOLDERS, _GONE))
            for model in _MODELS[: 1 + number % 2]
            if place or login != _GONE
        }
        # Hundredths of a cent for a day of all seats.
        self.seats = {day: 190_000 + 100 * place for place, day in enumerate(self.days_told)}

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method != "GET" or asked.headers.get("x-github-api-version") != "2026-03-10":
            return 400, {"message": "Bad Request"}
        if asked.path == "/orgs/acme/copilot/billing/seats":
            return self._listed(asked)
        if asked.path not in (_ROOT + "ai_credit/usage", _ROOT + "usage"):
            return 404, {"message": "Not Found"}
        try:
            wanted = {name: int(asked.query[name]) for name in ("year", "month", "day") if name in asked.query}
        except ValueError:
            return 400, {"message": "Bad Request"}
        known = {"year", "month", "day"} | ({"user"} if asked.path.endswith("ai_credit/usage") else set())
        if not asked.query.keys() <= known:
            return 400, {"message": "Bad Request"}
        # Where nothing is said it is this month.
        day = date(wanted.get("year", self.until.year), wanted.get("month", self.until.month), wanted["day"])
        if asked.path.endswith("ai_credit/usage"):
            return 200, self._credits(day, asked.query.get("user"))
        return 200, {"usageItems": [*self._other(day), *self._seats(day)]}

    def _listed(self, asked: Asked) -> tuple[int, Any]:
        number, size = (asked.query.get(name, "") for name in ("page", "per_page"))
        if not number.isdecimal() or not size.isdecimal() or not 1 <= int(size) <= 100:
            return 422, {"message": "Validation Failed"}
        shown = _HOLDERS[(int(number) - 1) * _PAGE : int(number) * _PAGE]
        seats = [
            {"created_at": "2026-01-05T09:00:00Z", "assignee": _person(login), "plan_type": "business"}
            for login in shown
        ]
        return 200, {"total_seats": len(_HOLDERS), "seats": seats}

    def _credits(self, day: date, user: str | None) -> dict[str, Any]:
        told: dict[str, Any] = {
            "timePeriod": {"year": day.year, "month": day.month, "day": day.day},
            "organization": "acme",
            **({} if user is None else {"user": user}),
        }
        return told | {"usageItems": list(self._rows(day, user))}

    def _rows(self, day: date, user: str | None) -> Iterable[dict[str, Any]]:
        for model in _MODELS:
            used = [
                value
                for (when, login, which), value in self.credits.items()
                if when == day and which == model and user in (None, login)
            ]
            if used:
                yield _row(model, sum(used))

    def _seats(self, day: date) -> Iterable[dict[str, Any]]:
        if day in self.seats:
            dollars = self.seats[day] / 10_000
            yield _billed(day, "Copilot", "Copilot Business", "user-months", quantity=1.6667, dollars=dollars)

    def _other(self, day: date) -> Iterable[dict[str, Any]]:
        """What is billed beside seats, and is no business of theirs."""
        yield _billed(day, "Actions", "Actions Linux", "minutes", quantity=100, dollars=0.8)
        yield _billed(day, "Copilot", "Copilot AI Credits", "ai-credits", quantity=400, dollars=4.0)

    def truth(self, feed: str) -> Truth:
        if feed == "copilot-seats":
            return Truth(len(self.seats), {}, {"USD": sum(self.seats.values()) * _PICO_OF_CENT // 100})
        cents = {key: value - value // _POOLED.get(key[2], value + 1) for key, value in self.credits.items()}
        rows = len({(day, model) for day, _, model in cents})
        if feed == "copilot-credits":
            # Beside each person's, a row for what is nobody's, though that be nothing.
            rows += sum(login != _GONE for _, login, _ in cents)
        return Truth(rows, {}, {"USD": sum(cents.values()) * _PICO_OF_CENT})

    def revise(self) -> None:
        self.credits[self.days_told[-1], "ann", "GPT-5.2"] += 50
        self.seats[self.days_told[-1]] += 500


def _person(login: str) -> dict[str, Any]:
    address = f"https://api.github.com/users/{login}"
    urls = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events",
            "received_events")  # fmt: skip
    return {
        "login": login,
        "id": 7,
        "node_id": "MDQ6VXNlcjc=",
        "avatar_url": "https://github.com/images/error/octocat_happy.gif",
        "gravatar_id": "",
        "url": address,
        "html_url": f"https://github.com/{login}",
        **{f"{name}_url": f"{address}/{name}" for name in urls},
        "type": "User",
        "site_admin": False,
    }


def _row(model: str, used: int) -> dict[str, Any]:
    pooled = used // _POOLED.get(model, used + 1)
    return {
        "product": "Copilot",
        "sku": "Copilot AI Credits",
        "model": model,
        "unitType": "ai-credits",
        "pricePerUnit": 0.01,
        "grossQuantity": used,
        "grossAmount": used / 100,
        "discountQuantity": pooled,
        "discountAmount": pooled / 100,
        "netQuantity": used - pooled,
        "netAmount": (used - pooled) / 100,
    }


def _billed(day: date, product: str, sku: str, unit: str, *, quantity: float, dollars: float) -> dict[str, Any]:
    return {
        "date": f"{day.isoformat()}T00:00:00Z",
        "product": product,
        "sku": sku,
        "quantity": quantity,
        "unitType": unit,
        "pricePerUnit": dollars / quantity,
        "grossAmount": dollars,
        "discountAmount": 0.0,
        "netAmount": dollars,
        "organizationName": "acme",
    }
