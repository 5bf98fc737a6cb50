"""What the streams of calls draw from: the company arranged for drawing, and the keys its programs hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import accumulate
from random import Random
from typing import Generic, NamedTuple, TypeVar

from finops.connectors.types import Dimensions
from finops.ingest.demo.company import AgentPlan, Company, PersonPlan
from finops.ingest.demo.rhythm import Span

T = TypeVar("T")

# Programs with a key of their own beside the agents: the key's name, and the project it is bound to ('' is nobody's).
SERVICE_KEYS = {
    "answer-engine-prod": "answer-engine",
    "support-copilot-prod": "support-copilot",
    "assist-prod": "assist-for-customers",
    "assist-staging": "assist-for-customers",
    "chat-summaries-prod": "chat-summaries",
    "document-classification": "document-classification",
    "embeddings-refresh": "embeddings-refresh",
    "search-embeddings": "search-relevance",
    "contract-review": "contract-review",
    "prototypes": "prototypes",
    "fine-tuning": "fine-tuning",
    "legacy-ci": "",
}
# Teams whose repositories say nothing of a project: rules of the organization know them by name.
RULED = {"search": "acme/search-", "chat": "acme/chat-", "payments": "acme/payments-"}
RESEARCHING = ("language-models", "evaluation", "retrieval", "analytics", "data-platform")
_AT_DESKS = (
    "enterprise-sales",
    "revenue-operations",
    "content",
    "growth",
    "brand",
    "accounting",
    "people",
    "logistics",
)


class Bag(Generic[T]):
    """Things to draw from by weight."""

    def __init__(self, weighed: Iterable[tuple[T, float]]) -> None:
        pairs = list(weighed)
        self.things = [thing for thing, _ in pairs]
        self._cumulative = list(accumulate(weight for _, weight in pairs))

    def draw(self, dice: Random) -> T:
        [thing] = dice.choices(self.things, cum_weights=self._cumulative)
        return thing


class Coder(NamedTuple):
    """A person at a coding tool, with what the tool says of each call made ready."""

    person: PersonPlan
    identities: tuple[tuple[str, str], ...]
    dimensions: Dimensions
    tags: tuple[tuple[str, str], ...]


class World:
    """The company, arranged. `keys` maps a key's name to its prefix."""

    def __init__(self, company: Company, keys: Mapping[str, str], span: Span, charges: int) -> None:
        self.company = company
        self.keys = keys
        self.span = span
        self.charges = charges
        projects: dict[str, list[str]] = {}
        for project in company.projects:
            projects.setdefault(project.team, []).append(project.slug)
        self.coders = Bag((_coder(person, projects), person.keen) for person in company.people if person.codes)
        self.researchers = self._of(RESEARCHING)
        self.office = self._of(_AT_DESKS, codes=False)
        self.lawyers = self._of(("legal", "procurement"))
        self.helpers = self._of(("support-emea", "support-americas", "support-operations"), codes=False)
        self.tinkerers = self._of(("ml-platform", "language-models"))
        self.code_agents, self.review_agents = self._agents("code"), self._agents("review")
        self.support_agents, self.data_agents = self._agents("support"), self._agents("data")
        self.office_agents = self._agents("office")
        # A few customers are most of the business.
        self.customers = Bag((slug, 1 / (place + 2)) for place, (slug, _) in enumerate(company.customers))

    def _agents(self, kind: str) -> Bag[AgentPlan]:
        return Bag((agent, agent.busy) for agent in self.company.agents if agent.kind == kind)

    def _of(self, teams: Sequence[str], *, codes: bool | None = None) -> Bag[PersonPlan]:
        """People of these teams; only those who write code, or only those who do not, where that is said."""
        return Bag(
            (person, person.keen)
            for person in self.company.people
            if person.team in teams and codes in (None, person.codes)
        )

    def dice(self, stream: str, day: date) -> Random:
        """Chance that falls the same way every time."""
        return Random(f"{stream} on {day}")  # noqa: S311 - synthetic data, the same every time


def _coder(person: PersonPlan, projects: Mapping[str, list[str]]) -> Coder:
    mine = projects.get(person.team, ["prototypes"])
    project = mine[len(person.slug) % len(mine)]
    prefix = RULED.get(person.team)
    repository = f"{prefix}{project.split('-')[-1]}" if prefix else f"acme/{project}"
    told = Dimensions() if prefix else Dimensions(project=project)
    tags = (("env", "dev"), ("feature", "coding"), ("repo", repository))
    return Coder(person, (("email", person.email),), told, tags)
