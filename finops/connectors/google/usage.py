"""What Gemini says a call used (`usageMetadata`), as our meters. Pure. After Google's SDK
(`google.genai.types.GenerateContentResponseUsageMetadata`).

The prompt includes what was cached, and leaves out what tools put into it; the candidates leave out the thoughts. The
total is the sum of the four, and tells where a host counts otherwise. A stream says it again and again, totals each
time: the last one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.counting import Meters, Unreadable, count, meters
from finops.connectors.types import Problem

# What served the call, in the words of the price book. A word that is not known is kept.
_TRAFFIC: Final[Mapping[str, str]] = {
    "": "",
    "TRAFFIC_TYPE_UNSPECIFIED": "",
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "offpeak",
}


def gemini_usage(said: Mapping[str, Any]) -> Meters | Problem:
    try:
        read, written, thought = _totals(said)
        cached = count(said, "cachedContentTokenCount")
        given = _by_modality(said, "promptTokensDetails", "toolUsePromptTokensDetails")
        kept = _by_modality(said, "cacheTokensDetails")
        made = _by_modality(said, "candidatesTokensDetails", "responseTokensDetails")
        audio = given.get("AUDIO", 0)
        # Where nobody says what was cached, it is what must be: more than there is of the rest.
        cached_audio = kept.get("AUDIO", 0) if kept else min(audio, max(0, audio + cached - read))
        image = max(0, given.get("IMAGE", 0) - kept.get("IMAGE", 0))
        if not kept:
            image = min(image, max(0, read - cached - audio + cached_audio))
        return meters(
            input_tokens=read,
            cache_read_tokens=cached,
            input_audio_tokens=audio,
            cache_read_audio_tokens=cached_audio,
            input_image_tokens=image,
            output_tokens=written,
            reasoning_tokens=thought,
            output_audio_tokens=made.get("AUDIO", 0),
            output_image_tokens=made.get("IMAGE", 0),
        )
    except Unreadable as error:
        return error.problem


def tier_of(traffic: Any) -> str:
    """The tier that served a call, of its `trafficType`; '' where that is not said."""
    if not isinstance(traffic, str):
        return ""
    return _TRAFFIC.get(traffic, traffic.lower()[:60])


def _totals(said: Mapping[str, Any]) -> tuple[int, int, int]:
    """Input, output and, within it, thoughts. Live calls say `response…` for what others call `candidates…`."""
    prompt, tools = count(said, "promptTokenCount"), count(said, "toolUsePromptTokenCount")
    made = count(said, "candidatesTokenCount") or count(said, "responseTokenCount")
    thought, total = count(said, "thoughtsTokenCount"), count(said, "totalTokenCount")
    if said.get("promptTokenCount") is None and not 0 < total == tools + made + thought:
        raise Unreadable("usage.promptTokenCount", "promptTokenCount is missing")
    if thought and total == prompt + tools + made:
        made -= thought
        if made < 0:
            raise Unreadable("usage.thoughtsTokenCount", "the thoughts exceed what they are said to be part of")
    elif tools and total == prompt + made + thought:
        tools = 0
    return prompt + tools, made + thought, thought


def _by_modality(said: Mapping[str, Any], *names: str) -> dict[str, int]:
    """Tokens of each modality. Those of video and documents cost what text costs, and no meter is theirs."""
    found: dict[str, int] = {}
    for name in names:
        details = said.get(name)
        if details is None:
            continue
        if not isinstance(details, list) or not all(isinstance(one, Mapping) for one in details):
            raise Unreadable(f"usage.{name}", f"{name} is not a list of objects")
        for one in details:
            modality = one.get("modality")
            if isinstance(modality, str):
                found[modality.upper()] = found.get(modality.upper(), 0) + count(one, "tokenCount")
    return found
