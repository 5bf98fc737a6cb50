"""Reads Bedrock's model invocation log: JSON lines in S3, or single records of CloudWatch.

A line holds what was asked and answered. `cut` keeps counts, ids and names only, so no record, no quarantine and no log
of ours ever holds a prompt. Tokens are disjoint: the input leaves out what was read from and written to the cache. See
README.md beside this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.bare import count_of, usage_of
from finops.connectors.bedrock.principals import identities_of, role_of
from finops.connectors.bedrock.usage import counts_of_call, says_anything
from finops.connectors.foreign import LONGEST, UNDECODABLE, Part, Wrong, decode, encode, received, tags_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.types import NO_COUNTS, GivenCost, Received, UsageEvent

PARSER: Final = "bedrock_invocations"
# The catalogue's word for Bedrock.
PROVIDER: Final = "aws"
_KEPT: Final = (
    "timestamp", "accountId", "region", "requestId", "operation", "modelId", "errorCode", "inferenceRegion",
    "serviceTier",
)  # fmt: skip
_INPUT: Final = ("inputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount")
_OUTPUT: Final = ("outputTokenCount",)
_LINE: Final = re.compile(rb"\S[^\n]*")
_MOST_METADATA: Final = 50


def parse(raw: bytes) -> Received:
    """One record of `cut`."""
    return received(raw, _event, _name)


def cut(body: bytes, *, models: Mapping[str, str] | None = None) -> Page:
    """A file of the log, decompressed. Raises BodyUnreadable where not one line is a record of it.

    `models` says which model an inference profile's ARN stands for, as bedrock:GetInferenceProfile answers. What failed
    before anything was counted is billed by nobody and left out.
    """
    rows, seen = [], 0
    known = models or {}
    for number, line in enumerate(_LINE.finditer(body.removeprefix(b"\xef\xbb\xbf")), 1):
        record = _bare(line.group(), known)
        if record is None:
            rows.append(encode({"unreadable": f"line {number} is no JSON object"}))
            continue
        seen += 1
        if not record.get("errorCode") or says_anything(record):
            rows.append(encode(record))
    if rows and not seen:
        raise BodyUnreadable("This is not a file of Bedrock's model invocation log.")
    return Page(tuple(rows))


def _bare(line: bytes, models: Mapping[str, str]) -> dict[str, Any] | None:
    """A line without what was asked and answered; None where it is no object."""
    try:
        said = decode(line)
    except UNDECODABLE:
        return None
    if not isinstance(said, dict):
        return None
    given, answer = _object(said.get("input")), _object(said.get("output"))
    record: dict[str, Any] = {name: _short(said[name]) for name in _KEPT if said.get(name) is not None}
    record["arn"] = _short(_object(said.get("identity")).get("arn"))
    record["metadata"] = _metadata(said.get("requestMetadata"))
    record["input"] = {name: count_of(given[name]) for name in _INPUT if name in given}
    record["output"] = {name: count_of(answer[name]) for name in _OUTPUT if name in answer}
    record["usage"] = _usage(answer.get("outputBodyJson"))
    if "serviceTier" not in record:
        record["serviceTier"] = _short(_tier(answer.get("outputBodyJson")))
    resolved = models.get(said["modelId"]) if isinstance(said.get("modelId"), str) else None
    if resolved:
        record["resolvedModel"] = resolved
    return {name: value for name, value in record.items() if value not in (None, {})}


def _usage(answer: Any) -> dict[str, Any] | None:
    """Of an answer, or of a stream's events: what comes later goes over what came before, and is never added."""
    if isinstance(answer, Mapping):
        return usage_of(answer.get("usage"))
    if not isinstance(answer, list):
        return None
    made: dict[str, Any] = {}
    for event in answer:
        said = _object(event)
        for holder in (_object(said.get("message")), said, _object(said.get("metadata"))):
            made |= usage_of(holder.get("usage")) or {}
    return made or None


def _tier(answer: Any) -> Any:
    """Which tier served a call, as Converse says it in its answer, or in the last event of its stream."""
    said = None
    for event in answer if isinstance(answer, list) else [answer]:
        for holder in (_object(event), _object(_object(event).get("metadata"))):
            said = _object(holder.get("serviceTier")).get("type", said)
    return said


def _metadata(told: Any) -> dict[str, str]:
    """What the caller said of its request, to be told by: pairs of text."""
    pairs = [(name, value) for name, value in _object(told).items() if isinstance(value, str)]
    return {name[:LONGEST]: value[:LONGEST] for name, value in pairs[:_MOST_METADATA]}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(value: Any) -> Any:
    """An id or a name; what is none is `false`, and named as such without being kept."""
    return value if value is None or (isinstance(value, str) and len(value) <= LONGEST) else False


def _name(record: Part) -> str:
    return record.needed("requestId")


def _event(record: Part) -> UsageEvent:
    if record.has("unreadable"):
        raise Wrong("malformed", "$", f"{record.text('unreadable')}; what it holds is not kept")
    failed = record.text("errorCode")
    arn = record.text("arn")
    nothing = bool(failed) and not says_anything(record.values)
    metadata = {name: value for name, value in record.part("metadata").values.items() if isinstance(value, str)}
    tags = metadata | {
        "operation": record.text("operation"),
        "iam_role": role_of(arn),
        "inference_region": record.text("inferenceRegion"),
        "error": failed,
    }
    return UsageEvent(
        external_id=record.needed("requestId"),
        occurred_at=record.moment("timestamp"),
        provider=PROVIDER,
        model=record.text("resolvedModel") or record.needed("modelId"),
        counts=NO_COUNTS if nothing else counts_of_call(record),
        service_tier=record.text("serviceTier"),
        region=record.text("region"),
        provider_account=record.text("accountId"),
        provider_request_id=record.needed("requestId"),
        identities=identities_of(arn),
        tags=tags_of(tags),
        # A call that failed costs nothing, and is not without a price. One that used something is priced, or unpriced.
        cost=GivenCost(0, "USD") if nothing else None,
    )
