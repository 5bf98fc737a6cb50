"""What may be said in a rule. Pure. An error names its field as a path: `when.models[2]`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from math import isfinite
from typing import Any, Final

import msgspec

from finops.core.errors import Invalid
from routing.rules import pins
from routing.rules.gate_rules import why_not
from routing.rules.policy import Cost, Expected, Learnt, Packed, Policy, Quality, Reliability
from routing.rules.rollout import chooses
from routing.rules.types import Rule, Use, When, Within
from routing.tiers.rules import LONGEST_VENDOR, ORIGIN, VENDOR
from routing.tiers.types import Tier
from routing.upstreams.rules import AUTO, FLOOR, NITRO, TIER

LONGEST_NAME: Final = 60
LONGEST_WORD: Final = 60
LONGEST_SLUG: Final = 80
LONGEST_MODEL: Final = 200
LONGEST_TASK_TYPE: Final = 200
LONGEST_TAG: Final = 200
LONGEST_WHY: Final = 1_000
# Of the values of one condition, of tags, of models to be tried, and of words of one limit.
MOST_VALUES: Final = 50
MOST_TAGS: Final = 20
MOST_USED: Final = 100
MOST_WORDS: Final = 20
MOST_TOKENS: Final = 100_000_000
MOST_PER_MILLION: Final = 1_000_000.0
MOST_CANDIDATES: Final = 30
MOST_TYPES: Final = 1_000
MOST_BINS: Final = 20
# Of one table of words, and of all that a policy brings.
MOST_PACKED: Final = 128 * 1024
MOST_PACKED_IN_ALL: Final = 3 * 2**20
SORTS: Final = ("", FLOOR, NITRO)
OWNERS: Final = ("teams", "projects", "agents", "customers")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_.:-]*")
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]+")
_EFFORT: Final = re.compile(r"[a-z]{1,20}")
# No score, dollar or weight is larger.
_LARGEST: Final = 1e9
# As msgspec says where: "Expected `str`, got `int` - at `$.when.models[0]`".
_WHERE: Final = re.compile(r"^(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?$", re.DOTALL)


class RuleInvalid(Invalid):
    """A rule that cannot be; `field` says where."""

    code = "rules.invalid"


def read(said: Any, *, field: str = "") -> Rule:
    """A rule as it was written in JSON or YAML, checked. Raises RuleInvalid."""
    try:
        rule = msgspec.convert(said, Rule)
    except msgspec.ValidationError as error:
        raise unreadable(error, within=field) from None
    try:
        return check(rule)
    except RuleInvalid as error:
        raise RuleInvalid(error.message, field=joined(field, error.field or "")) from None


def unreadable(error: msgspec.ValidationError, *, within: str = "") -> RuleInvalid:
    """What msgspec says of it, by the path of the field."""
    found = _WHERE.match(str(error))
    what, where = (found[1], found[2] or "") if found else (str(error), "")
    missing = re.search(r"(?:missing required|contains unknown) field `([^`]{1,60})`", what)
    if missing:
        where = joined(where, missing[1])
    return RuleInvalid(what[:300], field=joined(within, where[:200]) or None)


def joined(within: str, field: str) -> str:
    return f"{within}.{field}" if within and field and not field.startswith("[") else within + field


def check(rule: Rule) -> Rule:
    """The rule, where it can be. Raises RuleInvalid."""
    if not _NAME.fullmatch(rule.name) or len(rule.name) > LONGEST_NAME:
        raise RuleInvalid(f"a name is a-z, 0-9, - and _, at most {LONGEST_NAME} of them", field="name")
    _check_when(rule.when)
    _check_use(rule.use)
    if rule.policy is not None and pins.pins(rule):
        raise RuleInvalid("what was learned chooses among models by name: name them", field="use")
    _check_within(rule.within)
    if rule.policy is not None:
        _check_policy(rule.policy, {one.model for one in rule.use})
    if not chooses(rule):
        if rule.within == Within():
            raise RuleInvalid("a rule says use, policy or within: this one says nothing", field="use")
        if AUTO in rule.when.models:
            raise RuleInvalid(f"for {AUTO} a model has to be chosen: say use or policy", field="when.models")
    return rule


def check_why(why: str) -> str:
    """Raises RuleInvalid."""
    why = why.strip()
    if not why:
        raise RuleInvalid("say why", field="why")
    if len(why) > LONGEST_WHY or not all(one.isprintable() or one in "\n\t" for one in why):
        raise RuleInvalid(f"at most {LONGEST_WHY:,} characters of text", field="why")
    return why


def _check_when(when: When) -> None:
    _texts(when.models, "when.models", longest=LONGEST_MODEL)
    _texts(when.task_types, "when.task_types", longest=LONGEST_TASK_TYPE)
    for name in OWNERS:
        _matching(getattr(when, name), f"when.{name}", _SLUG, LONGEST_SLUG, "a slug", MOST_VALUES)
    _texts(when.keys, "when.keys", longest=LONGEST_WORD)
    if len(when.tags) > MOST_TAGS:
        raise RuleInvalid(f"at most {MOST_TAGS} tags", field="when.tags")
    for name, values in when.tags.items():
        _text(name, "when.tags", longest=LONGEST_WORD)
        if not values:
            raise RuleInvalid("say at least one value", field=f"when.tags.{name}")
        _texts(values, f"when.tags.{name}", longest=LONGEST_TAG)
    for name in ("least_tokens", "most_tokens"):
        _whole(getattr(when, name), 0, MOST_TOKENS, f"when.{name}")
    if when.least_tokens is not None and when.most_tokens is not None and when.least_tokens > when.most_tokens:
        raise RuleInvalid("it is below least_tokens: no call is so", field="when.most_tokens")


def _check_use(use: tuple[Use, ...]) -> None:
    if len(use) > MOST_USED:
        raise RuleInvalid(f"at most {MOST_USED} models", field="use")
    for place, one in enumerate(use):
        _text(one.model, f"use[{place}].model", longest=LONGEST_MODEL)
        if one.model == AUTO:
            raise RuleInvalid(f"{AUTO} leaves the choice to routing and is no model", field=f"use[{place}].model")
        _check_tier(one.model, f"use[{place}].model")
        if one.effort and not _EFFORT.fullmatch(one.effort):
            raise RuleInvalid("an effort is one word: low, medium, high", field=f"use[{place}].effort")
        _whole(one.most_output_tokens, 1, MOST_TOKENS, f"use[{place}].most_output_tokens")
        refused = why_not(one.gate) if one.gate is not None else None
        if refused is not None:
            raise RuleInvalid(refused[1], field=f"use[{place}].gate.{refused[0]}")
    _once([one.model for one in use], "use")


def _check_tier(model: str, path: str) -> None:
    try:
        pins.tier_of(model)
    except ValueError:
        known = ", ".join(f"{TIER}{one}" for one in Tier)
        raise RuleInvalid(f"there is no such class of models: {known}", field=path) from None


def _check_within(within: Within) -> None:
    for name in ("labels", "regions", "only", "never", "order"):
        _matching(getattr(within, name), f"within.{name}", _WORD, LONGEST_WORD, "a word in lower case", MOST_WORDS)
    for name in ("vendors", "never_vendors"):
        what = "a maker's word in lower case"
        _matching(getattr(within, name), f"within.{name}", VENDOR, LONGEST_VENDOR, what, MOST_WORDS)
    for name in ("origins", "never_origins"):
        what = "a country by its two letters, such as US,"
        _matching(getattr(within, name), f"within.{name}", ORIGIN, 2, what, MOST_WORDS)
    most = within.most_per_million
    if most is not None and not (isfinite(most) and 0 <= most <= MOST_PER_MILLION):
        raise RuleInvalid(f"0 to {MOST_PER_MILLION:,.0f}", field="within.most_per_million")
    share = within.most_share
    if share is not None and not (isfinite(share) and 0 < share < 1):
        raise RuleInvalid("a share of the spend, above 0 and below 1", field="within.most_share")
    if within.sort not in SORTS:
        raise RuleInvalid("floor or nitro", field="within.sort")


def _check_policy(policy: Policy, used: Collection[str]) -> None:
    names = [one.model for one in policy.candidates]
    if not 1 <= len(names) <= MOST_CANDIDATES:
        raise RuleInvalid(f"1 to {MOST_CANDIDATES} candidates", field="policy.candidates")
    _once([*names, policy.incumbent.model], "policy.candidates")
    for name in ("price", "floor"):
        _number(getattr(policy, name), f"policy.{name}", least=0.0)
    for name in ("share", "trust"):
        _number(getattr(policy, name), f"policy.{name}", least=0.0, most=1.0)
    if policy.floor > policy.price:
        raise RuleInvalid("it is above price", field="policy.floor")
    tables = [] if policy.rarity is None else [_packed(policy.rarity, "policy.rarity")]
    learnt = [(policy.incumbent, "policy.incumbent")]
    learnt += [(one, f"policy.candidates[{place}]") for place, one in enumerate(policy.candidates)]
    for one, path in learnt:
        tables.append(_check_learnt(one, path))
        if used and one is not policy.incumbent and one.model not in used:
            raise RuleInvalid("it is none of use: name it there, or leave use out", field=f"{path}.model")
    if sum(tables) > MOST_PACKED_IN_ALL:
        raise RuleInvalid(f"tables of words of {MOST_PACKED_IN_ALL // 2**20} MB at most", field="policy")


def _check_learnt(one: Learnt, path: str) -> int:
    """Gives the bytes of its table of words."""
    _text(one.model, f"{path}.model", longest=LONGEST_MODEL)
    if one.model == AUTO:
        raise RuleInvalid(f"{AUTO} leaves the choice to routing and is no model", field=f"{path}.model")
    _types(one.types, f"{path}.types")
    for task_type, expected in one.types.items():
        _check_expected(expected, f"{path}.types.{task_type}")
    _check_expected(one.other, f"{path}.other")
    return 0 if one.quality is None else _check_quality(one.quality, f"{path}.quality")


def _check_expected(expected: Expected, path: str) -> None:
    _number(expected.loss, f"{path}.loss")
    for name in Cost.__struct_fields__:
        least = 0.0 if name == "least" else -_LARGEST
        _number(getattr(expected.cost, name), f"{path}.cost.{name}", least=least)


def _check_quality(quality: Quality, path: str) -> int:
    _number(quality.intercept, f"{path}.intercept")
    _number(quality.length, f"{path}.length")
    _types(quality.types, f"{path}.types")
    for task_type, value in quality.types.items():
        _number(value, f"{path}.types.{task_type}")
    if quality.reliability is not None:
        _check_reliability(quality.reliability, f"{path}.reliability")
    return _packed(quality.words, f"{path}.words")


def _check_reliability(said: Reliability, path: str) -> None:
    _number(said.error, f"{path}.error", least=0.0, most=1.0)
    if len(said.bins) > MOST_BINS:
        raise RuleInvalid(f"at most {MOST_BINS} bins", field=f"{path}.bins")
    for place, one in enumerate(said.bins):
        for name in ("lower", "upper", "chance", "right"):
            _number(getattr(one, name), f"{path}.bins[{place}].{name}", least=0.0, most=1.0)
        _whole(one.number, 1, MOST_TOKENS, f"{path}.bins[{place}].number")


def _packed(packed: Packed, path: str) -> int:
    _number(packed.step, f"{path}.step", least=0.0)
    if len(packed.data) > MOST_PACKED:
        raise RuleInvalid(f"at most {MOST_PACKED // 1024} KB", field=f"{path}.data")
    try:
        packed.values()
    except (ValueError, zlib.error) as error:
        raise RuleInvalid(f"it cannot be unpacked: {error}", field=f"{path}.data") from None
    return len(packed.data)


def _types(types: Mapping[str, Any], path: str) -> None:
    if len(types) > MOST_TYPES:
        raise RuleInvalid(f"at most {MOST_TYPES:,} types", field=path)
    for task_type in types:
        if task_type:
            _text(task_type, path, longest=LONGEST_TASK_TYPE)


def _number(value: float, path: str, *, least: float = -_LARGEST, most: float = _LARGEST) -> None:
    if not isfinite(value) or not least <= value <= most:
        raise RuleInvalid(f"a number of {least:g} to {most:g}", field=path)


def _whole(value: int | None, least: int, most: int, path: str) -> None:
    if value is not None and not least <= value <= most:
        raise RuleInvalid(f"{least} to {most:,}", field=path)


def _texts(values: tuple[str, ...], path: str, *, longest: int) -> None:
    if len(values) > MOST_VALUES:
        raise RuleInvalid(f"at most {MOST_VALUES}", field=path)
    for place, value in enumerate(values):
        _text(value, f"{path}[{place}]", longest=longest)
    _once(values, path)


def _text(value: str, path: str, *, longest: int) -> None:
    if not value or len(value) > longest or not value.isprintable() or value != value.strip():
        raise RuleInvalid(f"1 to {longest} printable characters, without spaces around them", field=path)


def _matching(values: tuple[str, ...], path: str, pattern: re.Pattern[str], longest: int, what: str, most: int) -> None:
    if len(values) > most:
        raise RuleInvalid(f"at most {most}", field=path)
    for place, value in enumerate(values):
        if not pattern.fullmatch(value) or len(value) > longest:
            raise RuleInvalid(f"{what} of at most {longest} characters", field=f"{path}[{place}]")
    _once(values, path)


def _once(values: Iterable[str], path: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise RuleInvalid(f"{value!r} is named twice", field=path)
        seen.add(value)
