"""Models nobody knows the price of: never free to look at, and the way to a price."""

from __future__ import annotations

from django.test import Client

from finops.ingest.services import run_rework
from finops.jobs.models import Job
from finops.jobs.services import claim
from finops.ledger import selectors as ledger
from tests.factories.company import Company, book, event
from tests.interfaces.pages.conftest import at, days_of, text_of

DESCRIBED = {
    "provider": "openai", "model": "gpt-6-preview-unlisted", "input_uncached": "2", "output_text": "8",
    "cache_read": "0.5", "requests": "0", "currency": "USD", "effective_from": "2020-01-01",
}  # fmt: skip


def test_an_unpriced_model_does_not_look_free(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"period": "last-30d", "group": "model"}))
    row = next(part for part in page.split("<tr>") if "gpt-6-preview-unlisted" in part and "cell-name" in part)
    assert "unpriced" in row
    assert "$0.00" not in row


def test_an_unpriced_charge_says_what_it_lacks_today(company: Company, alice: Client) -> None:
    book(company, [event(90_000, company.at, model="gpt-6-preview-unlisted")])
    [row] = [one for one in ledger.charges(company.cast.acme.id, days_of(company, 1)).rows if one.price_id == 0][:1]
    assert "No price book knows this model." in text_of(alice.get(at("charge", charge_id=row.id)))
    assert alice.post(at("contract_custom"), DESCRIBED).status_code == 302
    page = text_of(alice.get(at("charge", charge_id=row.id)))
    assert "There is a price by now, and this call was not rated again since." in page


def test_a_model_without_a_price_at_two_providers_is_one_line(company: Company, alice: Client) -> None:
    at_both = [
        event(90_000 + number, company.at, model="mystery", provider=provider)
        for number, provider in enumerate(("openai", "azure", "openai"))
    ]
    book(company, at_both)
    [row] = [part for part in text_of(alice.get(at("unpriced"))).split("<tr>") if ">mystery<" in part]
    assert "<td>azure, openai</td>" in row
    assert ">3</a>" in row
    assert "model=mystery&amp;provider=azure" in row


def test_an_unpriced_model_is_described_and_rated_again(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("unpriced")))
    assert "gpt-6-preview-unlisted" in page
    assert alice.post(at("contract_custom"), DESCRIBED).status_code == 302
    assert alice.post(at("rerate")).status_code == 302
    job = claim(job_id=Job.objects.get().id, at=company.at)
    assert job is not None
    run_rework(job=job, now=lambda: company.at)
    assert "Everything has a price" in text_of(alice.get(at("unpriced")))
    jobs = text_of(alice.get(at("jobs")))
    assert "Rating again" in jobs
    assert "done" in jobs
    assert "passed over" not in jobs


def test_a_job_says_what_it_passed_over_while_it_runs_and_after(company: Company, alice: Client) -> None:
    tally = {"seen": 9, "changed": 2, "passed_over": 4, "before_pico": 0, "after_pico": 0}
    Job.objects.create(organization=company.cast.acme, kind="rerate", state="running", requested_by="system:test",
                       requested_at=company.at, cursor={"tally": tally})  # fmt: skip
    assert "4 passed over" in text_of(alice.get(at("jobs")))
    Job.objects.update(state="done", cursor={}, result=tally)
    assert "4 passed over" in text_of(alice.get(at("jobs")))
