"""Which types a vendor publishes of what our parsers read, and which of what the fakes answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Type(NamedTuple):
    module: str
    name: str
    # That has its package.
    environment: str = "clients"


_GITHUB: Final = "githubkit_schemas.v2026_03_10.models"
_LITELLM: Final = "litellm.types.utils"
_PORTKEY: Final = "portkey_ai.api_resources.types.logs_type"
ACTIVITY: Final = Type("openrouter.components.activityresponse", "ActivityResponse")
AI_CREDITS: Final = Type(_GITHUB, "BillingAiCreditUsageReportOrg")
BILLED: Final = Type(_GITHUB, "BillingUsageReport")
CHAT: Final = Type("openai.types.chat", "ChatCompletion")
EXPORT_CREATED: Final = Type(_PORTKEY, "LogsExportCreateResponse")
EXPORT_DOWNLOAD: Final = Type(_PORTKEY, "LogsExportDownloadResponse")
EXPORT_JOB: Final = Type(_PORTKEY, "LogsExportRetrieveResponse")
EXPORT_STARTED: Final = Type(_PORTKEY, "LogsExportStartResponse")
GEMINI: Final = Type("google.genai.types", "GenerateContentResponse")
GENERATION: Final = Type("openrouter.components.generationresponse", "GenerationResponse")
LITELLM_CALL: Final = Type(_LITELLM, "StandardLoggingPayload", "litellm")
LITELLM_ROW: Final = Type("litellm.proxy._types", "SpendLogsPayload", "litellm")
LITELLM_ROW_METADATA: Final = Type("litellm.proxy._types", "SpendLogsMetadata", "litellm")
LITELLM_USAGE: Final = Type(_LITELLM, "Usage", "litellm")
OBSERVATIONS: Final = Type("langfuse.api.observations.types.observations_v2response", "ObservationsV2Response")
SEATS: Final = Type(_GITHUB, "OrgsOrgCopilotBillingSeatsGetResponse200")

# Of each parser what it reads, as its vendor's package has it.
MODELS: Final[Mapping[str, tuple[Type, ...]]] = {
    "copilot": (AI_CREDITS, BILLED, SEATS),
    "google_answers": (GEMINI,),
    "langfuse_observations": (OBSERVATIONS,),
    "litellm_spend_logs": (LITELLM_ROW, LITELLM_ROW_METADATA, LITELLM_USAGE),
    "litellm_webhook": (LITELLM_CALL, LITELLM_USAGE),
    "openrouter_activity": (ACTIVITY,),
    "openrouter_generation": (GENERATION,),
    "portkey_logs": (CHAT, EXPORT_CREATED, EXPORT_DOWNLOAD, EXPORT_JOB, EXPORT_STARTED),
}
