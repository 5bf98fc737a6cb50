"""Who the demo company is: departments, teams, people, projects, agents, customers. Values, the same every time."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from finops.ingest.demo.names import FIRST, LAST

SLUG: Final = "acme"
NAME: Final = "Acme (demo)"

# e-mail, password, who it is and what they may do. These are printed on purpose: the company is invented.
LOGINS: Final = [
    ("finance@acme.example", "capstan-demo-finance", "Dana, finance: all spend, prices and reports"),
    ("owner@acme.example", "capstan-demo-owner", "Alice, owner: everything"),
    ("lead@acme.example", "capstan-demo-lead", "Erin, team lead: her own teams"),
    ("engineer@acme.example", "capstan-demo-engineer", "Bob, engineer: his own spend"),
]


class TeamPlan(NamedTuple):
    """A team, the department above it ('' for a department), how many people it has and how many of them write code."""

    slug: str
    name: str
    parent: str
    cost_centre: str
    people: int
    coders: int


class PersonPlan(NamedTuple):
    """`keen` weighs how much of their team's usage is theirs; `role` is a membership's, '' without a login."""

    slug: str
    name: str
    email: str
    team: str
    office: str
    codes: bool
    keen: float
    role: str


class ProjectPlan(NamedTuple):
    slug: str
    name: str
    team: str


class AgentPlan(NamedTuple):
    """`kind` is what it does all day: code, review, support, data or office. `busy` weighs its share of the kind."""

    slug: str
    name: str
    project: str
    kind: str
    busy: float


class Company(NamedTuple):
    teams: tuple[TeamPlan, ...]
    people: tuple[PersonPlan, ...]
    projects: tuple[ProjectPlan, ...]
    agents: tuple[AgentPlan, ...]
    customers: tuple[tuple[str, str], ...]


# Department, its cost centre, and its teams: name, people, of whom coders.
_DEPARTMENTS: Final = (
    (
        "Product Engineering",
        1100,
        (
            ("Search", 18, 16),
            ("Chat", 16, 14),
            ("Assist", 15, 13),
            ("Web", 14, 13),
            ("Mobile", 12, 11),
            ("Payments", 12, 11),
        ),
    ),
    (
        "Platform Engineering",
        1200,
        (
            ("Developer Experience", 10, 10),
            ("Infrastructure", 14, 13),
            ("Security Engineering", 8, 7),
            ("Data Platform", 11, 10),
            ("ML Platform", 10, 10),
        ),
    ),
    ("AI Research", 1300, (("Language Models", 9, 8), ("Evaluation", 6, 6), ("Retrieval", 7, 7))),
    (
        "Customer Support",
        2100,
        (("Support EMEA", 18, 0), ("Support Americas", 16, 0), ("Support Operations", 6, 1)),
    ),
    ("Sales", 3100, (("Enterprise Sales", 16, 0), ("Sales Engineering", 8, 5), ("Revenue Operations", 6, 1))),
    ("Marketing", 3200, (("Content", 8, 0), ("Growth", 7, 2), ("Brand", 5, 0))),
    ("Finance and Legal", 4100, (("Accounting", 8, 0), ("Legal", 6, 0), ("Procurement", 4, 0))),
    ("Operations", 5100, (("IT", 8, 4), ("People", 8, 0), ("Analytics", 8, 6), ("Logistics", 6, 0))),
)
_PROJECTS: Final = {
    "search": "Search Relevance, Answer Engine, Query Understanding",
    "chat": "Chat Core, Chat Summaries",
    "assist": "Assist for Customers, Assist Actions",
    "web": "Storefront",
    "mobile": "Mobile App",
    "payments": "Checkout, Invoice Matching",
    "developer-experience": "Code Review Bot, Build Doctor, Dependency Updates",
    "infrastructure": "Shared Platform, Incident Copilot, Cloud Migration",
    "security-engineering": "Secret Scanning, Threat Triage",
    "data-platform": "Data Catalogue, Document Classification",
    "ml-platform": "Model Gateway, Prototypes",
    "language-models": "Fine Tuning, Synthetic Data",
    "evaluation": "Model Evaluation",
    "retrieval": "Embeddings Refresh",
    "support-operations": "Support Copilot, Ticket Triage",
    "sales-engineering": "Proposal Drafts",
    "revenue-operations": "Call Notes",
    "content": "Content Studio",
    "growth": "Campaign Lab",
    "accounting": "Close Assistant",
    "legal": "Contract Review",
    "it": "IT Helpdesk",
    "people": "Policy Assistant",
    "analytics": "Self-Service Analytics, Market Research",
    "logistics": "Route Planner",
}
# Project, and its agents as `name kind busy`.
_AGENTS: Final = {
    "search-relevance": "Ranking Tuner code 5, Query Labeller data 2, Relevance Judge data 2",
    "answer-engine": "Answer Refactorer code 5, Answer Tester code 3, Citation Checker data 1",
    "query-understanding": "Intent Migrator code 3",
    "chat-core": "Chat Engineer code 7, Chat Test Writer code 4, Chat Reviewer review 3",
    "chat-summaries": "Summary Critic data 1",
    "assist-for-customers": "Assist Builder code 6, Assist Reviewer review 3, Assist Tester code 3",
    "assist-actions": "Action Writer code 3, Action Auditor review 1",
    "storefront": "Storefront Engineer code 6, Accessibility Fixer code 2",
    "mobile-app": "Mobile Engineer code 5, Crash Doctor code 2, Mobile Reviewer review 2",
    "checkout": "Checkout Engineer code 4, Checkout Reviewer review 2",
    "invoice-matching": "Invoice Matcher data 2, Ledger Reconciler data 1",
    "code-review-bot": "Pull Request Reviewer review 12, Release Notes Writer review 2",
    "build-doctor": "Flaky Test Hunter code 4, Build Fixer code 3",
    "dependency-updates": "Dependency Updater code 5",
    "incident-copilot": "Incident Scribe support 2, Runbook Finder support 1",
    "cloud-migration": "Terraform Migrator code 4, Cost Tagger data 1",
    "secret-scanning": "Secret Sweeper review 2",
    "threat-triage": "Alert Triage support 3, Phishing Sorter support 1",
    "data-catalogue": "Schema Describer data 2, Lineage Mapper data 1",
    "document-classification": "Document Sorter data 4",
    "model-gateway": "Gateway Engineer code 3, Gateway Reviewer review 1",
    "prototypes": "Weekend Builder code 2",
    "fine-tuning": "Dataset Curator data 3",
    "synthetic-data": "Example Writer data 3",
    "model-evaluation": "Evaluation Runner data 4, Red Team data 2",
    "support-copilot": "Ticket Answerer support 8, Escalation Writer support 2",
    "ticket-triage": "Ticket Router support 4",
    "proposal-drafts": "Proposal Writer office 2",
    "call-notes": "Call Summariser office 3",
    "content-studio": "Copy Editor office 2",
    "close-assistant": "Accruals Checker office 1",
    "contract-review": "Clause Finder office 3",
    "it-helpdesk": "Password Helper support 1",
    "self-service-analytics": "SQL Writer office 3, Dashboard Builder code 2",
    "market-research": "Market Scout office 2",
    "route-planner": "Route Optimiser data 1",
}
_CUSTOMERS: Final = (
    "Halden Shipping, Brightwater Bank, Osterberg Foods, Lumen Textiles, Kestrel Airways, Tallis Insurance, "
    "Verdant Energy, Quarry Hill Mining, Pinewood Clinics, Marlow Retail, Sable Motors, Corvid Media, "
    "Ninefold Robotics, Eastgate Rail, Fennel Grocers, Aldous Pharma, Bluefin Logistics, Copperline Telecom, "
    "Driftwood Hotels, Ember Games, Foxglove Cosmetics, Granite Mutual, Harrow Academy, Isoline Maps"
)
# City, its time zone, and how many in a hundred work there.
OFFICES: Final = {
    "berlin": ("Europe/Berlin", 36),
    "london": ("Europe/London", 16),
    "new-york": ("America/New_York", 24),
    "san-francisco": ("America/Los_Angeles", 14),
    "bangalore": ("Asia/Kolkata", 10),
}
# The fixed cast, by the login they have: name, team, office, role.
_CAST: Final = {
    "owner@acme.example": ("Alice Moreno", "infrastructure", "berlin", "owner"),
    "finance@acme.example": ("Dana Lindholm", "accounting", "london", "finance"),
    "lead@acme.example": ("Erin Achebe", "search", "berlin", "team_lead"),
    "engineer@acme.example": ("Bob Steiner", "search", "berlin", "engineer"),
}
LEAD_OF: Final = ("search",)


def slug_of(name: str) -> str:
    return name.lower().replace(" ", "-")


def company() -> Company:
    """The whole company; every call gives equal values."""
    return Company(_teams(), _people(), _projects(), _agents(), _customers())


def _teams() -> tuple[TeamPlan, ...]:
    found = []
    for department, centre, teams in _DEPARTMENTS:
        parent = slug_of(department)
        found.append(TeamPlan(parent, department, "", f"CC-{centre}", 0, 0))
        for number, (name, people, coders) in enumerate(teams, start=1):
            found.append(TeamPlan(slug_of(name), name, parent, f"CC-{centre + 10 * number}", people, coders))
    return tuple(found)


def _people() -> tuple[PersonPlan, ...]:
    dice = Random("people of the demo company")  # noqa: S311 - the same company every time
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    dice.shuffle(names)
    cities, weights = zip(*((city, weight) for city, (_, weight) in OFFICES.items()), strict=True)
    cast = [
        PersonPlan("", name, email, team, office, role != "finance", 1.2, role)
        for email, (name, team, office, role) in _CAST.items()
    ]
    found = []
    for team in _teams():
        known = [person for person in cast if person.team == team.slug]
        for number in range(team.people):
            if number < len(known):
                person = known[number]
            else:
                name = names.pop()
                email = f"{name.lower().replace(' ', '.')}@acme.example"
                [office] = dice.choices(cities, weights)
                # A few use far more than the rest, as everywhere.
                keen = dice.lognormvariate(0, 0.75)
                person = PersonPlan("", name, email, team.slug, office, number < team.coders, keen, "")
            found.append(person._replace(slug=slug_of(person.name)))
    return tuple(found)


def _projects() -> tuple[ProjectPlan, ...]:
    return tuple(
        ProjectPlan(slug_of(name), name, team) for team, names in _PROJECTS.items() for name in names.split(", ")
    )


def _agents() -> tuple[AgentPlan, ...]:
    found = []
    for project, agents in _AGENTS.items():
        for words in agents.split(", "):
            name, kind, busy = words.rsplit(" ", 2)
            found.append(AgentPlan(slug_of(name), name, project, kind, int(busy)))
    return tuple(found)


def _customers() -> tuple[tuple[str, str], ...]:
    return tuple((slug_of(name), name) for name in _CUSTOMERS.split(", "))
