"""Names as providers, gateways and tools write them, resolved to the catalogue's by written rules.

The order for a model: as written; with its date written the other way; out of its wrapping (an ARN, a resource path);
without a leading provider. A date is rewritten and never dropped: two dated versions may cost different amounts, so an
unknown one is unknown until somebody writes an alias.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from finops.pricing.types import AliasRule, ModelEntry, ProviderEntry

Predicate = Callable[[str], bool]

# Words for a provider that its id does not contain or that would be taken for another's; tried before anything else.
PROVIDER_ALIASES: Final[Mapping[str, str]] = {
    "amazon": "aws",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "microsoft": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex": "google",
    "vertex_ai": "google",
    "claude": "anthropic",
    "grok": "x-ai",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "fireworks_ai": "fireworks",
    "fireworks-ai": "fireworks",
    "together_ai": "together",
    "together-ai": "together",
    "togethercomputer": "together",
    "moonshot": "moonshotai",
    "github_copilot": "github-copilot",
}
# Not providers but what stands in front of one; the model's own words say whose it is.
GATEWAYS: Final = frozenset({"", "litellm", "unknown", "portkey", "helicone", "otel", "custom", "gateway", "proxy"})
# Tiers that are the standard price under another word.
STANDARD_TIERS: Final = frozenset({"", "default", "standard", "auto", "standard_only", "on_demand", "on-demand"})
TIER_ALIASES: Final[Mapping[str, str]] = {"batches": "batch", "batch_api": "batch"}

_COMPACT_DATE = re.compile(r"([-@])(20\d{2})(0[1-9]|1[0-2])([0-2]\d|3[01])(?=$|[-:@])")
_DASHED_DATE = re.compile(r"([-@])(20\d{2})-(0[1-9]|1[0-2])-([0-2]\d|3[01])(?=$|[-:@])")
_BEDROCK_ARN = re.compile(r"^arn:aws[\w-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(.+)$")
# Anything else under an account is its own: tuned, reserved, or a profile that only its owner can say the model of.
_BEDROCK_PRIVATE = re.compile(r"^arn:aws[\w-]*:bedrock:[^:]*:[^:]*:(?!foundation-model/|inference-profile/)")
_RESOURCE_PATH = re.compile(r"^(?:.*/)?models/([^/]+)$")
_BEDROCK_ROUTES: Final = ("converse/", "invoke/", "converse_like/")


def canonical_tier(raw: str) -> str:
    """'' for the standard price under any of its words, else the tier in lower case."""
    tier = raw.strip().lower()
    return "" if tier in STANDARD_TIERS else TIER_ALIASES.get(tier, tier)


def compile_clause(clause: Mapping[str, Any]) -> Predicate:
    """A clause of the catalogue (`equals`, `starts_with`, `ends_with`, `contains`, `regex`, `or`, `and`) made ready.

    Predicates take lower-case text. Raises ValueError for a clause we do not know, rather than matching nothing.
    """
    [(kind, value)] = clause.items()
    if kind in ("or", "and"):
        parts = [compile_clause(part) for part in value]
        join = any if kind == "or" else all
        return lambda text: join(part(text) for part in parts)
    if kind == "regex":
        pattern = re.compile(value)
        return lambda text: pattern.search(text) is not None
    word = str(value).lower()
    if kind == "equals":
        return lambda text: text == word
    if kind == "starts_with":
        return lambda text: text.startswith(word)
    if kind == "ends_with":
        return lambda text: text.endswith(word)
    if kind == "contains":
        return lambda text: word in text
    raise ValueError(f"unknown match clause {kind!r}")


class _Models:
    """One provider's models: first match wins, in the catalogue's order."""

    def __init__(self, entries: Sequence[ModelEntry]) -> None:
        self._entries = entries
        self._compiled: list[tuple[str, Predicate]] | None = None

    def find(self, text: str) -> str | None:
        if self._compiled is None:
            self._compiled = [(entry.model, compile_clause(entry.match)) for entry in self._entries]
        return next((model for model, matches in self._compiled if matches(text)), None)


class Names:
    """The catalogue's names. Immutable; safe to share between organizations."""

    def __init__(self, providers: Sequence[ProviderEntry]) -> None:
        self._providers = {entry.provider: entry for entry in providers}
        self._models = {entry.provider: _Models(entry.models) for entry in providers}
        self._ids = {entry.provider: {one.model.lower(): one.model for one in entry.models} for entry in providers}
        self._matchers = [(entry.provider, compile_clause(entry.match)) for entry in providers if entry.match]
        self._model_matchers = [
            (entry.provider, compile_clause(entry.model_match)) for entry in providers if entry.model_match
        ]

    def provider(self, raw: str) -> str | None:
        """The catalogue's id of a provider, or None when it knows none by that word."""
        word = raw.strip().lower()
        if not word or word in GATEWAYS:
            return None
        word = PROVIDER_ALIASES.get(word, word)
        if word in self._providers:
            return word
        if word.startswith(("azure", "microsoft")) and "azure" in self._providers:
            return "azure"
        return next((provider for provider, matches in self._matchers if matches(word)), None)

    @staticmethod
    def is_gateway(raw: str) -> bool:
        """Not a provider but what stands in front of one, or nothing at all."""
        return raw.strip().lower() in GATEWAYS

    def provider_of_model(self, raw: str) -> str | None:
        """Whose a model is by its name alone; used when the source named a gateway, or nobody."""
        text = raw.strip().lower()
        head, slash, _ = text.partition("/")
        if slash and (known := self.provider(head)):
            return known
        return next((provider for provider, matches in self._model_matchers if matches(text)), None)

    def model(self, provider: str, raw: str) -> tuple[str, str] | None:
        """(provider whose price it is, canonical model), or None. The two differ where one offers another's models."""
        entry = self._providers.get(provider)
        if entry is None:
            return None
        for text in self._candidates(entry, raw):
            for owner in (provider, *entry.fallbacks):
                if owner in self._models and (model := self._models[owner].find(text)):
                    return owner, model
        # A few models of the catalogue do not answer to their own id; the ledger says that id, so it must come back.
        wanted = raw.strip().lower()
        owners = (owner for owner in (provider, *entry.fallbacks) if wanted in self._ids.get(owner, {}))
        return next(((owner, self._ids[owner][wanted]) for owner in owners), None)

    def _candidates(self, entry: ProviderEntry, raw: str) -> Iterator[str]:
        """The name as written, then as each written rule rewrites it; the first that the catalogue knows wins."""
        text = raw.strip().lower()
        seen: set[str] = set()
        waiting = [] if _BEDROCK_PRIVATE.match(text) else [text]
        while waiting:
            text = waiting.pop(0)
            if not text or text in seen:
                continue
            seen.add(text)
            yield text
            waiting += (
                _COMPACT_DATE.sub(r"\1\2-\3-\4", text),
                _DASHED_DATE.sub(r"\1\2\3\4", text),
                self._unwrapped(entry, text),
            )

    def _unwrapped(self, entry: ProviderEntry, text: str) -> str:
        for pattern in (_BEDROCK_ARN, _RESOURCE_PATH):
            if found := pattern.match(text):
                return found[1]
        if entry.provider == "aws":
            for route in _BEDROCK_ROUTES:
                if text.startswith(route):
                    return text.removeprefix(route)
        head, slash, rest = text.partition("/")
        if slash and self.provider(head) in (entry.provider, *entry.fallbacks):
            return rest
        return ""


def apply_aliases(rules: Sequence[AliasRule], provider: str, raw: str) -> tuple[str, str] | None:
    """(target provider or '', target model) of the rule that speaks for a name, or None.

    An exact rule goes before a prefix, a longer prefix before a shorter, a rule that names the provider before one
    that does not; case does not matter.
    """
    text = raw.strip().lower()
    best: tuple[tuple[int, int, int], AliasRule] | None = None
    for rule in rules:
        pattern = rule.pattern.lower()
        if rule.provider and rule.provider != provider:
            continue
        if not (text == pattern if rule.kind == "exact" else text.startswith(pattern)):
            continue
        rank = (int(rule.kind == "exact"), len(pattern), int(bool(rule.provider)))
        if best is None or rank > best[0]:
            best = rank, rule
    return (best[1].target_provider, best[1].target_model) if best else None
