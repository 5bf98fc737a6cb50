"""The kinds of work the demo company does with models, and what one record of each looks like.

A record stands for one call, or for the calls of a few minutes of one caller, as gateways and coding tools report them
(`requests` says how many). Token counts are per call times calls, with one draw of size per record. Where a model is
dearer past a prompt length, records stay below it, because a record's tokens are taken for one prompt.
"""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any, Final

from finops.connectors.types import Counts, Dimensions
from finops.core.tokens import METER_INDEX, METERS
from finops.ingest.demo.rhythm import EVENING, NIGHT, OFFICE, WAKING, Migration, moment
from finops.ingest.demo.world import World

OPUS: Final = Migration("claude-opus-5", "claude-opus-5-5", 47, 4.5)
SONNET: Final = Migration("claude-sonnet-5", "claude-sonnet-5-5", 62, 6.0)
SUPPORT: Final = Migration("gpt-5.2", "gpt-5.4-mini", 66, 3.0)
CODEX: Final = "gpt-5.3-codex"
LLAMA: Final = "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"
OWN_PROVIDER: Final = "acme"
OWN_MODEL: Final = "acme-summariser-30b"
OWN_HOST: Final = "vllm.acme.internal"
EURO_PROVIDER: Final = "mistral"
EURO_MODEL: Final = "mistral-medium-3-5"

_PLACES: Final = tuple(
    METER_INDEX[name]
    for name in (
        "input_uncached",
        "cache_read",
        "cache_write_5m",
        "output_text",
        "output_reasoning",
        "requests",
        "web_searches",
    )
)
Fields = dict[str, Any]


def counts(
    *,
    fresh: float = 0,
    read: float = 0,
    write: float = 0,
    out: float = 0,
    think: float = 0,
    calls: int = 1,
    web: int = 0,
) -> Counts:
    """Counts in the order of METERS. `fresh` is input that was not cached."""
    row = [0] * len(METERS)
    for place, count in zip(_PLACES, (fresh, read, write, out, think, calls, web), strict=True):
        row[place] = int(count)
    return tuple(row)


# --- People at coding tools, and agents that write code ---------------------------------------------------------------
def coding(world: World, day: date, number: int, dice: Random) -> Fields:
    coder = world.coders.draw(dice)
    at = moment(coder.person.office, day, OFFICE, dice)
    luck = dice.random()
    model = "claude-haiku-4-5" if luck < 0.1 else SONNET.pick(number, dice) if luck < 0.62 else OPUS.pick(number, dice)
    calls = 3 + int(dice.lognormvariate(3.05, 0.5))
    context = min(dice.lognormvariate(11.3, 0.45), 190_000) * _reach(model)
    half = "am" if at.hour < 12 else "pm"
    return {
        "occurred_at": at,
        "provider": "anthropic",
        "model": model,
        "counts": counts(
            fresh=700 * calls,
            read=0.95 * context * calls,
            write=0.05 * context * calls,
            out=dice.uniform(400, 900) * calls,
            think=dice.uniform(0, 300) * calls,
            calls=calls,
        ),
        "provider_account": "acme-engineering",
        "session": f"cc-{coder.person.slug}-{day:%m%d}-{half}",
        "task_type": "code",
        "dimensions": coder.dimensions,
        "identities": coder.identities,
        "tags": tuple(sorted((*coder.tags, *_sub_agent(number)))),
    }


# What a session hands on, and to whom: a plan is explored by two, and somebody runs the tests.
_SUB_AGENTS: Final = (
    (),
    (),
    (("agent_id", "a1-plan"), ("subagent", "plan")),
    (("agent_id", "b1-explore"), ("parent_agent_id", "a1-plan"), ("subagent", "explore")),
    (("agent_id", "b2-explore"), ("parent_agent_id", "a1-plan"), ("subagent", "explore")),
    (("agent_id", "c1-test"), ("subagent", "test")),
)


def _sub_agent(number: int) -> tuple[tuple[str, str], ...]:
    return _SUB_AGENTS[number % len(_SUB_AGENTS)]


def agent_coding(world: World, day: date, number: int, dice: Random) -> Fields:
    agent = world.code_agents.draw(dice)
    luck = dice.random()
    model = CODEX if luck < 0.3 else SONNET.pick(number, dice) if luck < 0.55 else OPUS.pick(number, dice)
    calls = 10 + int(dice.lognormvariate(3.65, 0.45))
    context = min(dice.lognormvariate(11.55, 0.4), 400_000) * _reach(model)
    # One provider sells the writing of its cache, the other caches what it likes.
    kept, new = 0.93 * context * calls, 0.07 * context * calls
    fresh, write = (new, 0.0) if model == CODEX else (0.0, new)
    return {
        "occurred_at": moment("berlin", day, EVENING, dice),
        "provider": "openai" if model == CODEX else "anthropic",
        "model": model if model == CODEX else f"anthropic/{model}",
        "counts": counts(
            fresh=fresh + 900 * calls,
            read=kept,
            write=write,
            out=dice.uniform(500, 1100) * calls,
            think=dice.uniform(100, 500) * calls,
            calls=calls,
        ),
        "provider_account": "acme-engineering",
        "session": f"run-{agent.slug}-{day:%m%d}-{dice.randrange(12):02d}",
        "task_type": "code",
        "key_prefix": world.keys[agent.slug],
        "tags": tuple(sorted((("env", "ci"), ("feature", "agents"), *_sub_agent(number)))),
    }


def reviews(world: World, day: date, number: int, dice: Random) -> Fields:
    agent = world.review_agents.draw(dice)
    calls = 4 + int(dice.lognormvariate(2.9, 0.4))
    return {
        "occurred_at": moment("berlin", day, OFFICE, dice),
        "provider": "anthropic",
        "model": SONNET.pick(number, dice),
        "counts": counts(
            fresh=dice.uniform(6_000, 24_000) * calls,
            read=dice.uniform(4_000, 9_000) * calls,
            out=dice.uniform(700, 1_500) * calls,
            calls=calls,
        ),
        "provider_account": "acme-engineering",
        "task_type": "review",
        "key_prefix": world.keys[agent.slug],
        "tags": (("env", "ci"), ("feature", "review")),
    }


def _reach(model: str) -> float:
    """A newer model costs less a token and is given more to read: what a migration saves is never all of it."""
    return 1.3 if model in (OPUS.new, SONNET.new) else 1.0


# --- Products ---------------------------------------------------------------------------------------------------------
def support(world: World, day: date, number: int, dice: Random) -> Fields:
    agent = world.support_agents.draw(dice)
    office = "new-york" if dice.random() < 0.45 else "london"
    calls = 30 + int(dice.random() * 60)
    return {
        "occurred_at": moment(office, day, WAKING, dice),
        "provider": "openai",
        "model": SUPPORT.pick(number, dice),
        "counts": counts(
            fresh=dice.uniform(4_500, 7_500) * calls,
            read=dice.uniform(1_500, 3_500) * calls,
            out=dice.uniform(500, 900) * calls,
            think=dice.uniform(150, 600) * calls,
            calls=calls,
        ),
        "region": "us-east" if office == "new-york" else "eu-west",
        "provider_account": "acme-production",
        "task_type": "answer",
        "key_prefix": world.keys[agent.slug],
        "tags": (("env", "prod"), ("feature", "support")),
    }


def answers(world: World, day: date, number: int, dice: Random) -> Fields:
    office = ("berlin", "new-york", "san-francisco", "bangalore")[int(dice.random() * 4)]
    calls = 100 + int(dice.random() * 300)
    return {
        "occurred_at": moment(office, day, WAKING, dice),
        "provider": "google",
        "model": "gemini-3.6-flash",
        "counts": counts(
            fresh=dice.uniform(2_600, 6_200) * calls,
            read=dice.uniform(1_000, 2_400) * calls,
            out=dice.uniform(260, 520) * calls,
            calls=calls,
        ),
        "region": "europe-west4" if office == "berlin" else "us-central1",
        "provider_account": "acme-production",
        "task_type": "answer",
        "key_prefix": world.keys["answer-engine-prod"],
        "tags": (("env", "prod"), ("feature", "answers")),
    }


def assist(world: World, day: date, number: int, dice: Random) -> Fields:
    """The one product that is sold: each record names the customer it was for."""
    customer = world.customers.draw(dice)
    staging = dice.random() < 0.05
    openai = dice.random() < 0.4
    calls = 10 + int(dice.lognormvariate(3.7, 0.5))
    size = dice.uniform(0.8, 2.2)
    return {
        "occurred_at": moment("new-york" if len(customer) % 3 else "london", day, WAKING, dice),
        "provider": "openai" if openai else "anthropic",
        "model": "gpt-5.3" if openai else SONNET.pick(number, dice),
        "counts": counts(
            fresh=7_000 * size * calls,
            read=4_000 * size * calls,
            out=dice.uniform(500, 900) * calls,
            think=150 * size * calls,
            calls=calls,
        ),
        "region": "us-east" if len(customer) % 3 else "eu-west",
        "provider_account": "acme-production",
        "session": f"assist-{customer}-{day:%m%d}-{dice.randrange(24):02d}",
        "task_type": "assist",
        "dimensions": Dimensions(customer=customer),
        "key_prefix": world.keys["assist-staging" if staging else "assist-prod"],
        "tags": (("env", "staging" if staging else "prod"), ("feature", "assist")),
    }


def summaries(world: World, day: date, number: int, dice: Random) -> Fields:
    """A model of the company's own, on its own machines, with a price it set itself."""
    calls = 200 + int(dice.random() * 500)
    return {
        "occurred_at": moment("berlin", day, WAKING, dice),
        "provider": OWN_PROVIDER,
        "model": OWN_MODEL,
        "counts": counts(fresh=dice.uniform(3_000, 6_000) * calls, out=dice.uniform(150, 300) * calls, calls=calls),
        "region": "eu-central",
        "host": OWN_HOST,
        "task_type": "summarise",
        "key_prefix": world.keys["chat-summaries-prod"],
        "tags": (("env", "prod"), ("feature", "summaries")),
    }


# --- By night ---------------------------------------------------------------------------------------------------------
def batches(world: World, day: date, number: int, dice: Random) -> Fields:
    agent = world.data_agents.draw(dice)
    luna = dice.random() < 0.35
    calls = 40 if luna else 300 + int(dice.random() * 1_000)
    return {
        "occurred_at": moment("", day, NIGHT, dice),
        "provider": "openai" if luna else "anthropic",
        "model": "gpt-6-luna" if luna else SONNET.pick(number, dice),
        "counts": counts(fresh=dice.uniform(2_800, 5_600) * calls, out=dice.uniform(180, 420) * calls, calls=calls),
        "service_tier": "batch",
        "provider_account": "acme-data",
        "session": f"batch-{agent.slug}-{day:%m%d}",
        "task_type": "classify",
        "key_prefix": world.keys[agent.slug],
        "tags": (("env", "prod"), ("feature", "classification")),
    }


def embeddings(world: World, day: date, number: int, dice: Random) -> Fields:
    nightly = dice.random() < 0.6
    calls = 100 + int(dice.random() * 900)
    return {
        "occurred_at": moment("" if nightly else "berlin", day, NIGHT if nightly else WAKING, dice),
        "provider": "openai" if nightly else "google",
        "model": "text-embedding-3-small" if nightly else "gemini-embedding-2",
        "counts": counts(fresh=dice.uniform(200, 900) * calls, calls=calls),
        "provider_account": "acme-production",
        "task_type": "embed",
        "key_prefix": world.keys["embeddings-refresh" if nightly else "search-embeddings"],
        "tags": (("env", "prod"), ("feature", "embeddings")),
    }


# --- Everybody else ---------------------------------------------------------------------------------------------------
def research(world: World, day: date, number: int, dice: Random) -> Fields:
    person = world.researchers.draw(dice)
    luck = dice.random()
    size = dice.lognormvariate(0.45, 0.5)
    if luck < 0.5:
        provider, model, used = "google", "gemini-3.1-pro-preview", counts(fresh=165_000 * size, out=9_000 * size)
    elif luck < 0.75:
        used = counts(fresh=70_000 * size, read=30_000 * size, out=9_000 * size, think=14_000 * size)
        provider, model = "openai", "gpt-6-astra"
    else:
        used = counts(fresh=90_000 * size, out=8_000 * size, think=16_000 * size, web=int(20 * size))
        provider, model = "openai", "o3-deep-research"
    return {
        "occurred_at": moment(person.office, day, OFFICE, dice),
        "provider": provider,
        "model": model,
        "counts": used,
        "provider_account": "acme-research",
        "provider_request_id": f"req_{dice.getrandbits(80):020x}",
        "session": f"lab-{person.slug}-{day:%m%d}",
        "task_type": "research",
        "identities": (("key_alias", f"lab-{person.slug}"),),
        "tags": (("env", "research"), ("feature", "experiments")),
    }


def open_models(world: World, day: date, number: int, dice: Random) -> Fields:
    luck = dice.random()
    calls = 40 + int(dice.random() * 120)
    size = dice.uniform(0.5, 1.6) * calls
    fields = {
        "occurred_at": moment("san-francisco", day, EVENING, dice),
        "counts": counts(fresh=9_000 * size, out=1_100 * size, calls=calls),
        "provider_account": "acme-sandbox",
        "task_type": "prototype",
        "key_prefix": world.keys["prototypes" if luck < 0.7 else "fine-tuning"],
        "tags": (("env", "dev"), ("feature", "prototypes")),
    }
    if luck < 0.4:
        return fields | {"provider": "openrouter", "model": "moonshotai/kimi-k3"}
    if luck < 0.6:
        return fields | {"provider": "openrouter", "model": "deepseek/deepseek-v4.1-flash"}
    return fields | {"provider": "together_ai", "model": LLAMA, "host": "together"}


def office(world: World, day: date, number: int, dice: Random) -> Fields:
    """Sales, marketing, people: known by the provider's user id, and no more; and the programs that help them."""
    calls = 10 + int(dice.random() * 30)
    who: Fields
    if dice.random() < 0.3:
        agent = world.office_agents.draw(dice)
        where, who = "london", {"key_prefix": world.keys[agent.slug], "session": f"desk-{agent.slug}-{day:%m%d}"}
    else:
        person = (world.office if dice.random() < 0.7 else world.helpers).draw(dice)
        where = person.office
        who = {"identities": (("provider_user", f"user-{person.slug}"),), "session": f"chat-{person.slug}-{day:%m%d}"}
    return who | {
        "occurred_at": moment(where, day, OFFICE, dice),
        "provider": "openai",
        "model": "gpt-5.2",
        "counts": counts(
            fresh=dice.uniform(3_000, 14_000) * calls,
            out=dice.uniform(900, 1_900) * calls,
            think=700 * calls,
            calls=calls,
        ),
        "provider_account": "acme-office",
        "task_type": "write",
        "tags": (("env", "office"), ("feature", "writing")),
    }


def contracts(world: World, day: date, number: int, dice: Random) -> Fields:
    """Bought in euro."""
    person = world.lawyers.draw(dice)
    calls = 8 + int(dice.random() * 26)
    return {
        "occurred_at": moment("london", day, OFFICE, dice),
        "provider": EURO_PROVIDER,
        "model": EURO_MODEL,
        "counts": counts(
            fresh=dice.uniform(30_000, 70_000) * calls, out=dice.uniform(1_500, 3_500) * calls, calls=calls
        ),
        "region": "eu-west-3",
        "provider_account": "acme-europe",
        "session": f"deal-{day:%m%d}-{dice.randrange(5)}",
        "task_type": "review",
        "dimensions": Dimensions(person=person.slug),
        "key_prefix": world.keys["contract-review"],
        "tags": (("env", "office"), ("feature", "contracts")),
    }


def nobody(world: World, day: date, number: int, dice: Random) -> Fields:
    """A build server's key that nobody bound to anything, and an alias that nobody goes by."""
    calls = 40 + int(dice.random() * 50)
    return {
        "occurred_at": moment("", day, EVENING, dice),
        "provider": "anthropic",
        "model": "claude-sonnet-5",
        "counts": counts(fresh=dice.uniform(9_000, 22_000) * calls, out=dice.uniform(900, 2_000) * calls, calls=calls),
        "provider_account": "acme-engineering",
        "task_type": "",
        "key_prefix": world.keys["legacy-ci"],
        "identities": (("key_alias", "jenkins-2019"),),
        "tags": (("env", "ci"),),
    }
