"""What a usage type of AWS' bill says of Bedrock: the model, the kind of token, the tier. Pure.

`USE1-Claude4.6Sonnet-input-tokens`, `USW2-Claude4.5Sonnet-cache-write-input-token-count`,
`USE1-Claude4Sonnet-input-tokens-cross-region-global`, and of models sold through the Marketplace
`USE1-MP:USE1_InputTokenCount-Units`, which says the model in its description only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from finops.connectors.types import NO_COUNTS, Counts
from finops.core.tokens import MAX_COUNT, METER_INDEX

_REGION: Final = re.compile(r"^[A-Z]{2,4}[0-9]?-")
_PLAIN: Final = re.compile(
    r"^(?P<model>.+?)-(?:mantle-)?(?P<meter>input-tokens|output-tokens|cache-read-input-token-count"
    r"|cache-write(?:-(?P<life>5m|1h))?-input-token-count)(?P<rest>-.*)?$"
)
_MARKET: Final = re.compile(
    r"^MP:[A-Z0-9]+_(?P<meter>CacheRead|CacheWrite(?P<life>5m|1h)?|Input|Output)(?:Input)?TokenCount(?P<rest>\w*)-Units$",
    re.IGNORECASE,
)
_EDITION: Final = re.compile(r"(?P<model>[A-Z][\w .\-]{1,80}?) \(Amazon Bedrock Edition\)")
_METERS: Final[Mapping[str, str]] = {
    "input-tokens": "input_uncached",
    "output-tokens": "output_text",
    "cache-read-input-token-count": "cache_read",
    "input": "input_uncached",
    "output": "output_text",
    "cacheread": "cache_read",
}
_TIERS: Final = ("batch", "flex", "priority", "reserved")
_ROUTES: Final = ("cross-region-global", "cross-region", "global")
# As the bill and the Marketplace write models: `Claude4.6Sonnet`, `Claude Sonnet 4.5`, `NovaPro`.
_CLAUDE: Final = re.compile(
    r"^Claude\s?(?:(?P<first>[A-Z][a-z]+)\s?)?(?P<version>\d(?:\.\d)?)\s?(?P<last>[A-Z][a-z]+)?$"
)
_NOVA: Final = re.compile(r"^(?:Amazon )?Nova\s?(?P<name>Micro|Lite|Pro|Premier|Sonic)$")
# Ids that have a date, which the bill has not. What two ids may be (Claude 3.5 Sonnet) is left as the bill says it.
_DATED: Final[Mapping[str, str]] = {
    "3-haiku": "3-haiku-20240307",
    "3-opus": "3-opus-20240229",
    "3-sonnet": "3-sonnet-20240229",
    "3-5-haiku": "3-5-haiku-20241022",
    "3-7-sonnet": "3-7-sonnet-20250219",
    "sonnet-4": "sonnet-4-20250514",
    "opus-4": "opus-4-20250514",
    "opus-4-1": "opus-4-1-20250805",
    "sonnet-4-5": "sonnet-4-5-20250929",
    "haiku-4-5": "haiku-4-5-20251001",
}
_UNDATED_FROM: Final = (4, 5)
_UNITS: Final[Mapping[str, int]] = {
    "tokens": 1,
    "token": 1,
    "1k tokens": 1_000,
    "1k input tokens": 1_000,
    "1k output tokens": 1_000,
    "1m tokens": 1_000_000,
    "1m input tokens": 1_000_000,
    "1m output tokens": 1_000_000,
    "million tokens": 1_000_000,
}


class UsageType(NamedTuple):
    """`model` is AWS' own word, and the whole usage type where it cannot be told; `meter` is '' where it is none of
    ours. `routing` says how the call was routed among regions, which has prices of its own.
    """

    model: str
    meter: str = ""
    tier: str = ""
    routing: str = ""


def usage_type_of(text: str, description: str = "") -> UsageType:
    bare = _REGION.sub("", text)
    found = _PLAIN.match(bare) or _MARKET.match(bare)
    if found is None:
        return UsageType(text)
    word = found["meter"].lower()
    meter = _METERS.get(word) or ("cache_write_1h" if (found["life"] or "").lower() == "1h" else "cache_write_5m")
    rest = (found["rest"] or "").lower().replace("_", "-")
    model = found.groupdict().get("model") or ""
    if not model:
        edition = _EDITION.search(description)
        model = edition["model"].strip() if edition else text
    tier = next((one for one in _TIERS if f"-{one}" in rest), "")
    return UsageType(model, meter, tier, next((one for one in _ROUTES if one in rest), ""))


def model_of(said: UsageType) -> str:
    """The id that calls of a model have, where the bill's word says which it is; else that word. So that what a line
    bills is of the calls that were seen.
    """
    anywhere = "global." if said.routing.endswith("global") else ""
    if nova := _NOVA.match(said.model):
        return f"{anywhere}amazon.nova-{nova['name'].lower()}"
    found = _CLAUDE.match(said.model)
    family = (found["first"] or found["last"] or "").lower() if found else ""
    if found is None or not family or (found["first"] and found["last"]):
        return said.model
    major, _, minor = found["version"].partition(".")
    version = f"{major}-{minor}" if minor else major
    # Until the third, the version stands first.
    name = f"{version}-{family}" if int(major) < 4 else f"{family}-{version}"
    if name not in _DATED and (int(major), int(minor or 0)) < _UNDATED_FROM:
        return said.model
    return f"{anywhere}anthropic.claude-{_DATED.get(name, name)}"


def counts_of_line(said: UsageType, amount: Decimal | None, unit: str) -> Counts:
    """Tokens where the line says in which unit it counts them; nothing is guessed of another."""
    each = _UNITS.get(unit.strip().lower())
    if not said.meter or each is None or amount is None or amount < 0:
        return NO_COUNTS
    tokens = amount * each
    if tokens != tokens.to_integral_value() or tokens > MAX_COUNT:
        return NO_COUNTS
    counts = list(NO_COUNTS)
    counts[METER_INDEX[said.meter]] = int(tokens)
    return tuple(counts)
