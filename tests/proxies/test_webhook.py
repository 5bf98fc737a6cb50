"""The real LiteLLM proxy, without a database, posts its calls by `generic_api`: each is charged once, as its provider
billed it, to the person LiteLLM says it is of.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import timezone

from finops.orgs.services import add_identity, issue_key
from tests.clients.serving import same
from tests.clients.website import website
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.fakes.upstream import Plan, Script, Upstream, upstream
from tests.proxies.running import Client, Proxy, ending
from tests.waiting import until

pytestmark = [pytest.mark.timeout(240), pytest.mark.django_db(transaction=True)]
DOOR: Final = "/api/v1/litellm/events"
PLAN: Final = Plan(input_tokens=100, cached_tokens=20, output_tokens=12, reasoning_tokens=2)
_ASKED: Final = {"max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
CALLS: Final[Sequence[tuple[str, dict[str, Any]]]] = (
    *(("chat", _ASKED | {"model": name, "stream": stream}) for name in ("gpt", "claude") for stream in (False, True)),
    ("responses", {"model": "gpt", "input": "hello"}),
    *(("/v1/messages", _ASKED | {"model": "claude", "stream": stream}) for stream in (False, True)),
)
# Who calls, as an installation without LiteLLM's database says it.
WHO: Final = """
from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request, api_key):
    return UserAPIKeyAuth(
        api_key=api_key, user_id="u-bob", user_email="bob.b@example.com", team_id="team-7", team_alias="search"
    )
"""


@pytest.fixture
def provider() -> Iterator[Upstream]:
    with upstream(Script(usual=PLAN)) as running:
        yield running


@pytest.fixture
def cast() -> Cast:
    small_book()
    made, now = the_cast(), timezone.now()
    bob = {"organization_id": made.acme.id, "person_id": made.bob.id}
    add_identity(**bob, kind="email", value="bob.b@example.com", by=HOUSE, at=now)
    return made


@pytest.fixture
def folder(litellm_installed: None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="capstan-") as made:
        yield Path(made)


@pytest.fixture
def client(folder: Path, cast: Cast, provider: Upstream) -> Iterator[Client]:
    """Of a proxy that posts once it has told all of a test's calls. What ends while it posts, LiteLLM forgets."""
    issued = issue_key(organization_id=cast.acme.id, name="LiteLLM", by=HOUSE, at=timezone.now())
    (folder / "who.py").write_text(WHO)
    with website(folder) as address:
        headers = f"Authorization=Bearer {issued.secret}"
        environment = {
            "GENERIC_LOGGER_ENDPOINT": f"{address}{DOOR}",
            "GENERIC_LOGGER_HEADERS": headers,
            "DEFAULT_BATCH_SIZE": str(len(CALLS) + 1),
            "DEFAULT_FLUSH_INTERVAL_SECONDS": "3600",
        }
        models = [
            model("gpt", "openai/gpt", f"{provider.address}/v1"),
            model("claude", "anthropic/claude", provider.address),
        ]
        proxy = Proxy(
            folder,
            models,
            environment,
            litellm_settings={"callbacks": ["generic_api"]},
            general_settings={"custom_auth": "who.user_api_key_auth"},
            router_settings={"num_retries": 0},
        )
        with ending(proxy):
            client = Client(proxy, folder / "client.log")
            with ending(client.child):
                yield client


def model(name: str, of: str, base: str) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": of, "api_key": "nobodys", "api_base": base}}


def told(client: Client) -> str:
    """What came, and what the proxy says of what it sent."""
    charged = rows("SELECT external_id FROM ledger_charge")
    held = rows("SELECT code, field, message FROM ingest_quarantinedrecord")
    return f"charged: {charged}, held: {held}, the proxy: {client.proxy.log.read_text()[-3000:]}"


def test_every_call_is_charged_once_to_its_person(client: Client, provider: Upstream, cast: Cast) -> None:
    provider.then(Plan(status=400, message="this is not how it is done"))
    assert client.chat("gpt")["status"] == 400
    for route, body in CALLS:
        said = client.call(route, **body)
        assert "error" not in said, said
    bill = provider.bill.lines
    assert len(bill) == len(CALLS)
    until(lambda: rows("SELECT count(*) FROM ledger_charge")[0][0] >= len(bill), lambda: told(client), within_s=30)
    same(bill, by_id=False)
    assert {who for (who,) in rows("SELECT person_id FROM ledger_charge")} == {cast.bob.id}
    tags = [json.loads(told) if isinstance(told, str) else told for (told,) in rows("SELECT tags FROM ledger_charge")]
    assert {(one["litellm_team"], one["litellm_team_id"]) for one in tags} == {("search", "team-7")}
    assert rows("SELECT count(*) FROM ingest_quarantinedrecord") == [(0,)]
