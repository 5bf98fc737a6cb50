"""Which types a vendor publishes of what our parsers read, and which of what the fakes answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Type(NamedTuple):
    module: str
    name: str
    # That has its package.
    environment: str = "clients"


ACTIVITY: Final = Type("openrouter.components.activityresponse", "ActivityResponse")
GEMINI: Final = Type("google.genai.types", "GenerateContentResponse")
GENERATION: Final = Type("openrouter.components.generationresponse", "GenerationResponse")
LITELLM_CALL: Final = Type("litellm.types.utils", "StandardLoggingPayload", "litellm")
LITELLM_ROW: Final = Type("litellm.proxy._types", "SpendLogsPayload", "litellm")
LITELLM_ROW_METADATA: Final = Type("litellm.proxy._types", "SpendLogsMetadata", "litellm")
LITELLM_USAGE: Final = Type("litellm.types.utils", "Usage", "litellm")

# Of each parser what it reads, as its vendor's package has it.
MODELS: Final[Mapping[str, tuple[Type, ...]]] = {
    "google_answers": (GEMINI,),
    "litellm_spend_logs": (LITELLM_ROW, LITELLM_ROW_METADATA, LITELLM_USAGE),
    "litellm_webhook": (LITELLM_CALL, LITELLM_USAGE),
    "openrouter_activity": (ACTIVITY,),
    "openrouter_generation": (GENERATION,),
}
