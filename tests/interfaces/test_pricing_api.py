"""Prices, contracts, names, rates and quotes over REST."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from finops.orgs import services as orgs
from finops.orgs.rules import Permission
from finops.pricing.models import Price
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast
from tests.factories.pricing import provider, seed

DISCOUNT = {"kind": "discount", "provider": "openai", "percent": "10", "effective_from": "2026-11-01"}
OWN = {
    "kind": "custom", "provider": "vllm", "model": "llama", "effective_from": "2026-11-01", "currency": "EUR",
    "steps": [{"rates": {"input_uncached": "0.03", "output_text": 0.06, "web_searches": "0.01"}}],
}  # fmt: skip
CALL = {"provider": "openai", "model": "gpt", "at": "2026-11-03T12:00:00Z",
        "counts": {"input_uncached": 1000, "output_text": 500, "requests": 1}}  # fmt: skip


@pytest.fixture
def cast(db: None) -> Cast:
    seed(
        [
            provider(
                "openai",
                {
                    "gpt": {"input_mtok": "10", "output_mtok": "20", "web_searches_kcount": "10"},
                    "gpt-mini": {"input_mtok": "1"},
                },
            ),
            provider("anthropic", {"claude": {"input_mtok": "3"}}),
        ]
    )
    return the_cast()


def client(organization_id: int, *permissions: Permission) -> APIClient:
    issued = orgs.issue_key(organization_id=organization_id, name="Tests", permissions=permissions, by=HOUSE, at=NOON)
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.secret}")
    return made


@pytest.fixture
def dana(cast: Cast) -> APIClient:
    return client(cast.acme.id, Permission.PRICING_READ, Permission.PRICING_MANAGE)


@pytest.fixture
def bob(cast: Cast) -> APIClient:
    """May look at prices and nothing else."""
    return client(cast.acme.id, Permission.PRICING_READ)


@pytest.fixture
def charlie(cast: Cast) -> APIClient:
    return client(cast.globex.id, Permission.PRICING_READ, Permission.PRICING_MANAGE)


def post(who: APIClient, path: str, body: Any, status: int = 201, **headers: Any) -> Any:
    answer = who.post(f"/api/v1/{path}", body, format="json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def get(who: APIClient, path: str, status: int = 200) -> Any:
    answer = who.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def test_the_book_is_paged_and_searched(bob: APIClient) -> None:
    first = get(bob, "prices?limit=2&on=2026-11-03")
    assert [(one["provider"], one["model"]) for one in first["items"]] == [("anthropic", "claude"), ("openai", "gpt")]
    rest = get(bob, f"prices?limit=2&on=2026-11-03&cursor={first['next']}")
    assert ([one["model"] for one in rest["items"]], rest["next"]) == (["gpt-mini"], None)
    assert [one["model"] for one in get(bob, "prices?search=open mini")["items"]] == ["gpt-mini"]
    shown = first["items"][1]
    assert shown["steps"][0]["rates"]["web_searches"] == "0.01"
    assert shown["steps"][0]["rates"]["input_uncached"] == "10"
    assert get(bob, f"prices/{shown['id']}") == shown
    assert get(bob, "prices/2147483647", 404)["code"] == "core.not_found"
    assert get(bob, "prices?on=yesterday", 400)["errors"][0]["field"] == "on"


def test_lists_cost_the_same_few_queries(dana: APIClient, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    post(dana, "contracts", DISCOUNT)
    for path in ("prices", "contracts", "model-aliases", "exchange-rates"):
        get(dana, path)
        with django_assert_num_queries(2):  # the key, the page
            get(dana, path)


def test_a_discount_from_first_to_last(dana: APIClient, charlie: APIClient) -> None:
    made = post(dana, "contracts", DISCOUNT)
    assert (made["percent"], made["tier"], made["effective_to"]) == ("10.0000", "*", None)
    quoted = post(dana, "prices/quote", CALL, 200)
    assert (quoted["list_cost"], quoted["contracted_cost"]) == ("0.020000000000", "0.018000000000")
    assert quoted["contract_id"] == made["id"]
    assert post(charlie, "prices/quote", CALL, 200)["contracted_cost"] == "0.020000000000"
    assert post(dana, "contracts", DISCOUNT, 409)["code"] == "pricing.contract_overlaps"
    closing = {"effective_to": "2026-11-02"}
    assert post(charlie, f"contracts/{made['id']}/close", closing, 404)["code"] == "core.not_found"
    assert post(dana, f"contracts/{made['id']}/close", closing, 200)["effective_to"] == "2026-11-02"
    assert post(dana, "prices/quote", CALL, 200)["contracted_cost"] == "0.020000000000"
    assert [one["id"] for one in get(dana, "contracts")["items"]] == [made["id"]]
    assert get(charlie, "contracts")["items"] == []


def test_committed_prices_and_own_models(dana: APIClient) -> None:
    committed = {
        "kind": "committed", "provider": "openai", "model": "gpt", "effective_from": "2026-11-01",
        "steps": [{"rates": {"input_uncached": "7"}}, {"above_input_tokens": 500, "rates": {"input_uncached": "6"}}],
    }  # fmt: skip
    post(dana, "contracts", committed)
    assert post(dana, "prices/quote", CALL, 200)["contracted_cost"] == "0.016000000000"
    own = post(dana, "contracts", OWN)
    assert own["steps"][0]["rates"] == {"input_uncached": "0.03", "output_text": "0.06", "web_searches": "0.01"}
    call = CALL | {"provider": "vllm", "model": "Llama", "counts": {"output_text": 1_000_000, "web_searches": 2}}
    quoted = post(dana, "prices/quote", call, 200)
    assert (quoted["currency"], quoted["effective_cost"]) == ("EUR", "0.080000000000")
    assert [(line["meter"], line["per"], line["list_rate"]) for line in quoted["lines"]] == [
        ("output_text", 1_000_000, "0.06"),
        ("web_searches", 1, "0.01"),
    ]


def test_a_quote_for_what_nobody_knows_has_no_cost_rather_than_zero(bob: APIClient) -> None:
    quoted = post(bob, "prices/quote", CALL | {"model": "gpt-next"}, 200)
    assert (quoted["priced"], quoted["reason"], quoted["list_cost"], quoted["lines"]) == (
        False, "model_unknown", None, [],
    )  # fmt: skip
    assert post(bob, "prices/quote", CALL | {"tier": "scale"}, 200)["reason"] == "tier_unknown"
    unpriced = CALL | {"model": "gpt-mini", "counts": {"output_text": 1}}
    assert post(bob, "prices/quote", unpriced, 200)["reason"] == "meter_unpriced"


def test_names(dana: APIClient, charlie: APIClient) -> None:
    alias = {"pattern": "prod-chat", "target_provider": "openai", "target_model": "gpt"}
    made = post(dana, "model-aliases", alias)
    assert (made["kind"], made["shared"]) == ("exact", False)
    call = CALL | {"provider": "azure", "model": "PROD-chat"}
    assert post(dana, "prices/quote", call, 200)["model"] == "gpt"
    assert post(charlie, "prices/quote", call, 200)["reason"] == "model_unknown"
    assert post(dana, "model-aliases", alias, 409)["code"] == "pricing.alias_exists"
    post(charlie, f"model-aliases/{made['id']}/archive", {}, 404)
    post(dana, f"model-aliases/{made['id']}/archive", {}, 200)
    assert get(dana, "model-aliases")["items"] == []


def test_rates_by_hand_and_by_file(dana: APIClient, charlie: APIClient) -> None:
    rate = {"day": "2026-11-02", "from_currency": "eur", "to_currency": "USD", "rate": "1.1"}
    assert post(dana, "exchange-rates", {"rates": [rate]}) == {"added": 1, "changed": 0, "same": 0}
    text = "day,from,to,rate\n2026-11-02,EUR,USD,1.2\n2026-11-03,EUR,USD,1.3\n"
    assert post(dana, "exchange-rates", {"csv": text}) == {"added": 1, "changed": 1, "same": 0}
    rows = get(dana, "exchange-rates?from_currency=EUR")["items"]
    assert [(row["day"], row["rate"], row["shared"]) for row in rows] == [
        ("2026-11-03", "1.300000000000", False),
        ("2026-11-02", "1.200000000000", False),
    ]
    assert get(charlie, "exchange-rates")["items"] == []
    bad = post(dana, "exchange-rates", {"csv": text + "x,EUR,USD,1\n"}, 422)
    assert (bad["code"], bad["field"]) == ("pricing.rates_unreadable", "line 4, day")
    assert post(dana, "exchange-rates", {"csv": text, "rates": []}, 400)["errors"][0]["field"] == "rates"


def test_a_repeat_with_the_same_key_changes_nothing(dana: APIClient) -> None:
    first = post(dana, "contracts", DISCOUNT, idempotency_key="once")
    assert post(dana, "contracts", DISCOUNT, idempotency_key="once") == first
    assert len(get(dana, "contracts")["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (DISCOUNT | {"percent": "101"}, 422, "percent"),
        (DISCOUNT | {"percent": "NaN"}, 400, "percent"),
        (DISCOUNT | {"percent": None}, 400, "percent"),
        (DISCOUNT | {"steps": []}, 400, "steps"),
        (DISCOUNT | {"host": "x"}, 400, "host"),
        ({name: said for name, said in DISCOUNT.items() if name != "percent"}, 400, "percent"),
        (DISCOUNT | {"provider": "nobody"}, 422, "provider"),
        (DISCOUNT | {"model": "gpt\x00"}, 400, "model"),
        (DISCOUNT | {"model": "🦄"}, 422, "model"),
        (DISCOUNT | {"effective_from": "2026-02-30"}, 400, "effective_from"),
        (DISCOUNT | {"effective_to": "0001-01-01"}, 422, "effective_to"),
        (DISCOUNT | {"surprise": 1}, 400, "surprise"),
        (OWN | {"steps": [{"rates": {"input_uncached": "-1"}}]}, 422, "steps[0].rates.input_uncached"),
        (OWN | {"steps": [{"rates": {"words": "1"}}]}, 422, "steps[0].rates.words"),
        (OWN | {"steps": [{"rates": {"input_uncached": "x"}}]}, 400, "steps[0].rates.input_uncached"),
        (OWN | {"steps": "cheap"}, 400, "steps"),
        (OWN | {"currency": "XYZ"}, 422, "currency"),
        (OWN | {"kind": "gift"}, 400, "kind"),
    ],
)
def test_a_bad_contract_is_a_problem_that_names_its_field(
    dana: APIClient, body: dict[str, Any], status: int, field: str
) -> None:
    problem = post(dana, "contracts", body, status)
    named = [problem["field"]] if "field" in problem else [one["field"] for one in problem["errors"]]
    assert any(name.startswith(field) for name in named), problem


@pytest.mark.parametrize(
    "body",
    [
        {"model": "gpt", "counts": {"words": 1}},
        {"model": "gpt", "counts": {"input_uncached": -1}},
        {"model": "gpt", "counts": {"input_uncached": 10**13}},
        {"model": "gpt", "counts": []},
        {"counts": {}},
        CALL | {"at": "noon"},
        [],
    ],
)
def test_a_bad_quote_is_refused(bob: APIClient, body: Any) -> None:
    assert post(bob, "prices/quote", body, 400)["code"].startswith("api.")


def test_a_quote_at_the_ends_of_time_is_answered(bob: APIClient) -> None:
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert post(bob, "prices/quote", CALL | {"at": at}, 200)["priced"]


def test_looking_is_not_changing(bob: APIClient, cast: Cast) -> None:
    for path, body in (("contracts", DISCOUNT), ("model-aliases", {}), ("exchange-rates", {})):
        assert post(bob, path, body, 403)["code"] == "orgs.permission_missing"
    nobody = client(cast.acme.id, Permission.USAGE_WRITE)
    assert get(nobody, "prices", 403)["code"] == "orgs.permission_missing"
    assert APIClient().get("/api/v1/prices").status_code == 401
    assert Price.objects.count() == 3
