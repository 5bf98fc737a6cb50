"""What attributes say, read one by one: counts, texts, times, and whose the usage is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from finops.connectors.capstan.record import LONGEST, MOST_TAGS
from finops.connectors.otlp.types import MOST_RESOURCE_ATTRIBUTES, Attributes, scalar
from finops.connectors.types import Counts, Dimensions, Problem, Received, UsageEvent
from finops.connectors.wording import WHOLE, clean, not_json, not_valid, problem
from finops.core.tokens import MAX_COUNT

# How many whole digits and places a tool's own estimate of a cost may have.
_MOST_PLACES: Final = 30
_LONGEST_TAG: Final = 60
_LONGEST_TAG_VALUE: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Owners by name: our own names, and those that are in use.
_OWNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "team": ("capstan.team", "team.id"),
    "person": ("capstan.person",),
    "project": ("capstan.project", "project"),
    "agent": ("capstan.agent",),
    "customer": ("capstan.customer",),
}
_USERS: Final = ("user.email", "enduser.id", "user.account_id", "user.account_uuid", "user.id")
PROVIDER: Final = "capstan.provider"
CONVENTION: Final = "capstan.usage_convention"
TASK_TYPE: Final = "capstan.task_type"
# Read of a record itself, whatever it is. A resource may say them for all of its records.
ALWAYS: Final = (
    *(name for names in _OWNERS.values() for name in names), *_USERS, PROVIDER, CONVENTION, TASK_TYPE, "session.id",
)  # fmt: skip
# Of what a resource says, what is no tag: machines and processes, people, and what is read as a field.
_NO_TAGS: Final = ("process.", "telemetry.", "os.", "host.", "user.", "enduser.", "capstan.", "service.instance.")
_READ_OF_RESOURCE: Final = (*ALWAYS, "service.name", "organization.id", "user.organization.id")

T = TypeVar("T")


class Wrong(Exception):
    """Carries a Problem out of the reading of one record; never leaves this connector."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem(code, field, message)


class Whose(NamedTuple):
    """Whom a record names, and what else it says of its surroundings."""

    dimensions: Dimensions
    identities: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    task_type: str


def kept_of_resource(resource: Attributes) -> dict[str, Any]:
    """What a resource says of its records: what is read, then what may be a tag; nothing that is only of a machine."""
    found = {name: scalar(resource[name]) for name in _READ_OF_RESOURCE if name in resource}
    for name in sorted(resource):
        if len(found) >= MOST_RESOURCE_ATTRIBUTES:
            break
        if not name.startswith(_NO_TAGS):
            found[name] = scalar(resource[name])
    return {name: value for name, value in found.items() if value is not None}


def read(decoder: msgspec.json.Decoder[T], raw: bytes) -> T | Problem:
    """A record that was cut out of a body before. Never raises for a record."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        return not_valid(str(error), raw)
    except RecursionError:
        return problem("connectors.malformed", WHOLE, "the record is nested too deeply")
    except InvalidOperation:
        return problem("connectors.malformed", WHOLE, "the record holds a number that is none")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return not_json(str(error), raw)


def refused(raw: bytes, wrong: Problem, external_id: str = "") -> Received:
    return Received(raw, None, wrong, external_id if len(external_id) <= LONGEST else "")


def decimal(text: str) -> Decimal:
    """For the decoders of records: a number with a fraction, exactly as it is written."""
    return Decimal(text)


def text(attributes: Attributes, *names: str) -> str:
    """The first of these that is said, as text; '' where none is. Raises Wrong for one that is too long."""
    for name in names:
        value = attributes.get(name)
        # Most are not said at all.
        if value is None or isinstance(value, bool) or not isinstance(value, str | int):
            continue
        said = clean(str(value)).strip()
        if len(said) > LONGEST:
            raise Wrong("connectors.field_invalid", name, f"{name}: longer than {LONGEST}")
        if said:
            return said
    return ""


def word(attributes: Attributes, name: str) -> str:
    """A text by which records are only told apart; '' for what is none."""
    value = attributes.get(name)
    return value if isinstance(value, str) else ""


def count(attributes: Attributes, *names: str) -> int | None:
    """The first of these that is said, as a count; None where none is. Raises Wrong for what is no count.

    Some tools write their counts as text, some as numbers with a fraction of zero.
    """
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return whole(value, name)
    return None


def whole(value: Any, name: str) -> int:
    """Raises Wrong for what is no count."""
    if isinstance(value, str) and len(value) <= len(str(MAX_COUNT)) and value.isascii() and value.isdigit():
        value = int(value)
    # Its size first: to compare a number of a million digits with its whole part is to write them out.
    small = isinstance(value, Decimal) and value.is_finite() and value.adjusted() < len(str(MAX_COUNT))
    if small and value == value.to_integral_value():
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise Wrong("connectors.usage_unreadable", name, f"{name}: a count is a whole number from 0 to {MAX_COUNT}")
    return value


def amount(value: Any) -> str:
    """A tool's own estimate of a cost, as a tag says it: plain digits; '' for what is no believable amount."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return ""
    try:
        made = Decimal(value)
    except InvalidOperation:
        return ""
    if not made.is_finite() or not -_MOST_PLACES <= made.adjusted() < _MOST_PLACES or len(made.as_tuple().digits) > 40:
        return ""
    return format(made.normalize(), "f")[:_LONGEST_TAG_VALUE]


def moment(nanoseconds: int, field: str) -> datetime:
    """Nanoseconds since 1970 in UTC, to the microsecond. Raises Wrong."""
    if nanoseconds <= 0:
        raise Wrong("connectors.field_missing", field, f"{field} is required")
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        raise Wrong("connectors.field_invalid", field, f"{field}: no such instant") from None


def written(said: str, field: str) -> datetime:
    """A time as text, with its offset; UTC where it has none. Raises Wrong."""
    try:
        made = datetime.fromisoformat(said)
        return made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Wrong("connectors.field_invalid", field, f"{field}: expected a time like 2026-11-20T10:15:00Z") from None


def whose(
    attributes: Attributes,
    resource: Attributes,
    tagged: Iterable[str],
    *,
    of_resource: Mapping[str, str] | None = None,
    **more: str,
) -> Whose:
    """Owners, people and tags. What a record says goes before what its resource says. `tagged` are the record's own
    attributes that become tags; `more` are tags by name, '' for none. `of_resource` are the resource's tags, where
    somebody has made them already (`tags_of`), as it has many records.
    """
    tags = {name: value for name, value in more.items() if value}
    for name in tagged:
        _add_tag(tags, name, attributes.get(name))
    for name, value in (tags_of(resource) if of_resource is None else of_resource).items():
        if name not in tags and len(tags) < MOST_TAGS:
            tags[name] = value
    owners = {name: found for name, names in _OWNERS.items() if (found := _either(attributes, resource, names))}
    return Whose(
        Dimensions(**owners),
        _identities(attributes, resource),
        tuple(sorted(tags.items())),
        _either(attributes, resource, (TASK_TYPE,)),
    )


def tags_of(resource: Attributes) -> dict[str, str]:
    """What a resource says that is a tag of each of its records."""
    tags: dict[str, str] = {}
    for name in sorted(resource):
        if not name.startswith(_NO_TAGS):
            _add_tag(tags, name, resource[name])
    return tags


def _either(attributes: Attributes, resource: Attributes, names: tuple[str, ...]) -> str:
    """What the record says under one of these names, else what its resource says."""
    for said in (attributes, resource):
        for name in names:
            # Nearly all of them are not said.
            if name in said and (found := text(said, name)):
                return found
    return ""


def _add_tag(tags: dict[str, str], name: str, value: Any) -> None:
    if value is None or name in tags or len(tags) >= MOST_TAGS or not 0 < len(name) <= _LONGEST_TAG:
        return
    if isinstance(value, bool):
        said = "true" if value else "false"
    elif isinstance(value, Decimal):
        said = amount(value)
    elif isinstance(value, str | int):
        said = str(value)
    else:
        return
    if said:
        tags[clean(name)] = clean(said)[:_LONGEST_TAG_VALUE]


def _identities(attributes: Attributes, resource: Attributes) -> tuple[tuple[str, str], ...]:
    """E-mail first, for that is what most people are known by. Applications put either into `enduser.id`."""
    email = provider_user = ""
    for said in (attributes, resource):
        for name in _USERS:
            if name not in said:
                continue
            value = text(said, name)
            if "@" in value:
                email = email or value
            else:
                provider_user = provider_user or value
    found = (("email", email), ("provider_user", provider_user))
    return tuple(pair for pair in found if pair[1])


def event(*, counts: Counts | Problem, external_id: str, whose: Whose, **fields: Any) -> UsageEvent:
    """An event of these counts. Raises Wrong where they are a Problem, or the model is not said."""
    if isinstance(counts, Problem):
        raise Wrong(counts.code, counts.field, counts.message)
    if not fields.get("model"):
        raise Wrong("connectors.field_missing", "model", "model is required")
    if len(external_id) > LONGEST:
        raise Wrong("connectors.field_invalid", "id", f"the id made of it is longer than {LONGEST}")
    return UsageEvent(
        external_id=external_id,
        counts=counts,
        dimensions=whose.dimensions,
        identities=whose.identities,
        tags=whose.tags,
        task_type=whose.task_type,
        **fields,
    )
