"""Which types a vendor publishes of what our parsers read, and which of what the fakes answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Type(NamedTuple):
    module: str
    name: str
    # That has its package.
    environment: str = "clients"


_ANTHROPIC: Final = "anthropic.types.beta.organization"
_GITHUB: Final = "githubkit_schemas.v2026_03_10.models"
_LITELLM: Final = "litellm.types.utils"
_OPENAI: Final = "openai.types.admin.organization"
_SEMCONV: Final = "opentelemetry.semconv._incubating"
_PORTKEY: Final = "portkey_ai.api_resources.types.logs_type"
ACTIVITY: Final = Type("openrouter.components.activityresponse", "ActivityResponse")
AI_CREDITS: Final = Type(_GITHUB, "BillingAiCreditUsageReportOrg")
ANALYTICS_COST: Final = Type(f"{_ANTHROPIC}.analytics.beta_analytics_cost_item", "BetaAnalyticsCostItem")
ANALYTICS_USAGE: Final = Type(f"{_ANTHROPIC}.analytics.beta_analytics_usage_item", "BetaAnalyticsUsageItem")
API_KEY: Final = Type(_ANTHROPIC, "BetaAPIKey")
BILLED: Final = Type(_GITHUB, "BillingUsageReport")
CHAT: Final = Type("openai.types.chat", "ChatCompletion")
CHAT_USAGE: Final = Type("openai.types", "CompletionUsage")
CLOUDEVENT: Final = Type("cloudevents.core.v1.event", "CloudEvent")
CONVERSE: Final = Type("bedrock-runtime", "ConverseResponse", "botocore")
COST_RESULT: Final = Type(f"{_ANTHROPIC}.beta_analytics_cost_bucketed_result", "BetaAnalyticsCostBucketedResult")
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
MESSAGE: Final = Type("anthropic.types.beta", "BetaMessage")
OBSERVATIONS: Final = Type("langfuse.api.observations.types.observations_v2response", "ObservationsV2Response")
RESPONSES_USAGE: Final = Type("openai.types.responses", "ResponseUsage")
SEATS: Final = Type(_GITHUB, "OrgsOrgCopilotBillingSeatsGetResponse200")
SEMCONV_ATTRIBUTES: Final = Type(f"{_SEMCONV}.attributes.gen_ai_attributes", "")
SEMCONV_METRICS: Final = Type(f"{_SEMCONV}.metrics.gen_ai_metrics", "")
SEMCONV_OPERATIONS: Final = Type(f"{_SEMCONV}.attributes.gen_ai_attributes", "GenAiOperationNameValues")
SEMCONV_TOKENS: Final = Type(f"{_SEMCONV}.attributes.gen_ai_attributes", "GenAiTokenTypeValues")
SESSION_USAGE: Final = Type("anthropic.types.beta", "BetaManagedAgentsSessionUsage")
USAGE_RESULT: Final = Type(f"{_ANTHROPIC}.beta_analytics_usage_bucketed_result", "BetaAnalyticsUsageBucketedResult")
OPENAI_REPORTS: Final[Mapping[str, Type]] = {
    "costs": Type(f"{_OPENAI}.usage_costs_response", "UsageCostsResponse"),
    "usage/completions": Type(f"{_OPENAI}.usage_completions_response", "UsageCompletionsResponse"),
    "usage/decisions": Type(f"{_OPENAI}.usage_decisions_response", "UsageDecisionsResponse"),
    "usage/embeddings": Type(f"{_OPENAI}.usage_embeddings_response", "UsageEmbeddingsResponse"),
    "usage/file_search_calls": Type(f"{_OPENAI}.usage_file_search_calls_response", "UsageFileSearchCallsResponse"),
    "usage/moderations": Type(f"{_OPENAI}.usage_moderations_response", "UsageModerationsResponse"),
    "usage/web_search_calls": Type(f"{_OPENAI}.usage_web_search_calls_response", "UsageWebSearchCallsResponse"),
}

TRAFFIC: Final = Type("google.genai.types", "TrafficType")
# What is administered and no usage: of each example of the reference, its type.
ADMINISTERED: Final[Mapping[str, Type]] = {
    "anthropic_api_key": API_KEY,
    "anthropic_spend_limit": Type(_ANTHROPIC, "BetaSpendLimit"),
    "anthropic_user": Type(_ANTHROPIC, "BetaOrganizationUser"),
    "openai_spend_limit": Type(_OPENAI, "OrganizationSpendLimit"),
}

# Of each parser what it reads, as its vendor's package has it.
MODELS: Final[Mapping[str, tuple[Type, ...]]] = {
    "anthropic_analytics": (ANALYTICS_COST, ANALYTICS_USAGE),
    # These two by what analytics has of the same counts and amounts: the SDK has no type of the older reports.
    "anthropic_cost_report": (COST_RESULT,),
    "anthropic_usage_report": (USAGE_RESULT,),
    "bedrock_invocations": (CONVERSE,),
    "claude_code_session": (MESSAGE,),
    "cloudevents": (CLOUDEVENT,),
    "copilot": (AI_CREDITS, BILLED, SEATS),
    "google_answers": (GEMINI, TRAFFIC),
    "langfuse_observations": (OBSERVATIONS,),
    "litellm_spend_logs": (LITELLM_ROW, LITELLM_ROW_METADATA, LITELLM_USAGE),
    "litellm_webhook": (LITELLM_CALL, LITELLM_USAGE),
    "managed_agents": (SESSION_USAGE,),
    "openai_cost_report": (OPENAI_REPORTS["costs"],),
    "openai_usage_report": tuple(kind for path, kind in OPENAI_REPORTS.items() if path != "costs"),
    "openrouter_activity": (ACTIVITY,),
    "openrouter_generation": (GENERATION,),
    "otlp_metrics": (SEMCONV_ATTRIBUTES, SEMCONV_METRICS, SEMCONV_TOKENS),
    "otlp_spans": (SEMCONV_ATTRIBUTES, SEMCONV_OPERATIONS),
    "portkey_logs": (CHAT, EXPORT_CREATED, EXPORT_DOWNLOAD, EXPORT_JOB, EXPORT_STARTED),
}
# Of these none is published; what was looked at. Their bodies are composed after documentation.
NONE_PUBLISHED: Final[Mapping[str, str]] = {
    "anthropic_claude_code": "the SDK has no type of usage_report/claude_code; its claude_code types are of settings",
    "aws_cur": "columns of a file; botocore describes how an export is ordered, and not what stands in it",
    "azure_cost_export": "columns of a file; the SDK of cost management describes the order, and not what stands in it",
    "capstan": "our own record",
    "codex_session": "its SDK has types of what its server says, in other words than its files",
    "cursor": "its SDK runs agents; there is none of the Admin API",
    "devin": "there is no SDK of the consumption API",
    "file": "files as people have them",
    "google_billing": "rows of a table in BigQuery, whose client has types of pages and not of rows",
    "helicone_requests": "its packages send calls; a row of the API has no type but for the answer in it",
    "helicone_webhook": "its packages send calls; what is posted has no type but for the answer in it",
    "otlp_logs": "OpenTelemetry's package names no events; those of Claude Code, Codex and Gemini CLI are their own",
    "windsurf": "there is no SDK of the team API",
}
# Fakes whose answers are held against these types; no fake is of the rest.
FAKES: Final[Mapping[str, tuple[Type, ...]]] = {
    "anthropic": (ANALYTICS_COST, ANALYTICS_USAGE, COST_RESULT, USAGE_RESULT),
    "bedrock": (CONVERSE,),
    "copilot": (AI_CREDITS, BILLED, SEATS),
    "helicone": (MESSAGE,),
    "langfuse": (OBSERVATIONS,),
    "litellm": (LITELLM_ROW, LITELLM_ROW_METADATA, LITELLM_USAGE),
    "openai": tuple(OPENAI_REPORTS.values()),
    "openrouter": (ACTIVITY,),
    "portkey": (CHAT, EXPORT_CREATED, EXPORT_DOWNLOAD, EXPORT_JOB, EXPORT_STARTED),
}
