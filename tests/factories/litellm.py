"""Calls as LiteLLM 1.106 tells them, written out after its types: the callback's payload, and the same call's row."""

from __future__ import annotations

from typing import Any

CALL = "0d6cd5f8-6b1e-4e1d-9f3d-2f6a3b1c9a10"
HASH = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
# 98,805 = 66,360 read + 32,435 written + 10, of a row in litellm#11364.
CACHED: dict[str, Any] = {
    "completion_tokens": 503,
    "prompt_tokens": 98805,
    "total_tokens": 99308,
    "completion_tokens_details": {"accepted_prediction_tokens": None, "audio_tokens": None, "reasoning_tokens": 120,
                                  "rejected_prediction_tokens": None, "text_tokens": 383, "image_tokens": None},
    "prompt_tokens_details": {"audio_tokens": None, "cached_tokens": 66360, "text_tokens": 10, "image_tokens": None,
                              "web_search_requests": None, "cache_write_tokens": 32435, "cache_creation_tokens": 32435,
                              "cache_creation_token_details": {"ephemeral_5m_input_tokens": 30000,
                                                               "ephemeral_1h_input_tokens": 2435}},
    "cache_creation_input_tokens": 32435,
    "cache_read_input_tokens": 66360,
    "server_tool_use": {"web_search_requests": 2, "tool_search_requests": None},
    "service_tier": "standard",
    "inference_geo": "global",
    "iterations": None,
}  # fmt: skip
# What LiteLLM always tells, and mostly has nothing to say of.
_NONE_OF_METADATA = dict.fromkeys(
    (
        "user_api_key_budget_reset_at", "user_api_key_user_spend", "user_api_key_user_max_budget",
        "user_api_key_team_spend", "user_api_key_team_max_budget", "user_api_key_org_alias",
        "user_api_key_project_alias", "user_api_key_auth_metadata", "prompt_management_metadata",
        "mcp_tool_call_metadata", "vector_store_request_metadata", "routing_decision", "applied_guardrails",
        "cold_storage_object_key", "team_alias", "team_id", "used_client_oauth_token",
    )
)  # fmt: skip
_NONE_OF_HIDDEN = dict.fromkeys(
    (
        "cache_key", "api_base", "response_cost", "litellm_overhead_time_ms", "additional_headers", "batch_models",
        "batch_successful_requests", "batch_failed_requests", "litellm_model_name", "usage_object",
    )
)  # fmt: skip
_NONE_OF_PAYLOAD = dict.fromkeys(
    ("autorouter_savings", "autorouter_savings_estimate", "autorouter_baseline_observation")
)
PLAIN: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def payload(usage: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A StandardLoggingPayload. `metadata` is added to; other fields are replaced."""
    usage = CACHED if usage is None else usage
    metadata = (
        _NONE_OF_METADATA
        | {
            "user_api_key_hash": HASH,
            "user_api_key_alias": "ci-key",
            "user_api_key_spend": 1.5,
            "user_api_key_max_budget": None,
            "user_api_key_user_id": "u-7",
            "user_api_key_user_email": "dev@acme.example",
            "user_api_key_team_id": "team-1",
            "user_api_key_team_alias": "search",
            "user_api_key_org_id": "org-1",
            "user_api_key_project_id": None,
            "user_api_key_end_user_id": "customer-9",
            "user_api_key_request_route": "/v1/chat/completions",
            "spend_logs_metadata": {"ticket": "FIN-1"},
            "requester_ip_address": "10.1.2.3",
            "user_agent": "claude-cli/2.1 (external, cli)",
            "requester_metadata": {"headers": {"authorization": "Bearer sk-secret"}, "session_id": "session-1"},
            "requester_custom_headers": {"x-api-key": "sk-secret"},
            "usage_object": usage,
        }
        | changes.pop("metadata", {})
    )
    return (
        _NONE_OF_PAYLOAD
        | {
            "id": "msg_01Example",
            "litellm_call_id": CALL,
            "trace_id": "session-1",
            "session_id": "",
            "call_type": "acompletion",
            "stream": True,
            "response_cost": 0.187654321,
            "cost_breakdown": {"input_cost": 0.00003, "total_cost": 0.187654321, "service_tier": None},
            "response_cost_failure_debug_info": None,
            "status": "success",
            "status_fields": {"llm_api_status": "success", "guardrail_status": "not_run"},
            "custom_llm_provider": "anthropic",
            "total_tokens": usage.get("total_tokens", 0),
            "prompt_tokens": usage.get("prompt_tokens", 0),
            "completion_tokens": usage.get("completion_tokens", 0),
            "startTime": 1795169700.1234567,
            "endTime": 1795169702.5,
            "completionStartTime": 1795169701.0,
            "response_time": 2.4,
            "model_map_information": {"model_map_key": "claude-opus-5-5", "model_map_value": None},
            "model": "claude-opus-5-5",
            "model_id": "deployment-1",
            "model_group": "smart",
            "api_base": "https://api.anthropic.com/v1/messages",
            "metadata": metadata,
            "cache_hit": False,
            "cache_key": None,
            "saved_cache_cost": 0.0,
            "request_tags": ["project:indexer", "urgent", "User-Agent: claude-cli", "User-Agent: claude-cli/2.1"],
            "end_user": "customer-9",
            "requester_ip_address": "10.1.2.3",
            "user_agent": "claude-cli/2.1 (external, cli)",
            "messages": [{"role": "user", "content": "a secret question"}],
            "response": {"id": "msg_01Example", "choices": [{"message": {"content": "a secret answer"}}]},
            "error_str": None,
            "error_information": None,
            "model_parameters": {"tools": [{"name": "secret"}]},
            "hidden_params": _NONE_OF_HIDDEN | {"model_id": "deployment-1"},
            "guardrail_information": None,
            "standard_built_in_tools_params": None,
        }
        | changes
    )


def row(usage: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The same call as `/spend/logs/v2` lists it."""
    usage = CACHED if usage is None else usage
    metadata = {
        "user_api_key": HASH,
        "user_api_key_alias": "ci-key",
        "user_api_key_team_id": "team-1",
        "user_api_key_team_alias": "search",
        "user_api_key_org_id": "org-1",
        "user_api_key_project_id": None,
        "user_api_key_user_id": "u-7",
        "spend_logs_metadata": {"ticket": "FIN-1"},
        "status": "success",
        "proxy_server_request": "{\"messages\": [\"a secret question\"]}",
        "usage_object": usage,
        "model_map_information": {"model_map_key": "claude-opus-5-5", "model_map_value": None},
        "cost_breakdown": {"input_cost": 0.00003, "total_cost": 0.187654321, "service_tier": None},
        "additional_usage_values": {
            name: value for name, value in usage.items()
            if name not in ("prompt_tokens", "completion_tokens", "total_tokens")
        },
        "litellm_call_id": CALL,
        "batch_successful_requests": None,
    } | changes.pop("metadata", {})  # fmt: skip
    return {
        "request_id": "msg_01Example",
        "call_type": "acompletion",
        "api_key": HASH,
        "spend": 0.187654321,
        "total_tokens": usage.get("total_tokens", 0),
        "prompt_tokens": usage.get("prompt_tokens", 0),
        "completion_tokens": usage.get("completion_tokens", 0),
        "startTime": "2026-11-20T10:15:00.123+00:00",
        "endTime": "2026-11-20T10:15:02.500+00:00",
        "completionStartTime": "2026-11-20T10:15:01+00:00",
        "model": "claude-opus-5-5",
        "model_id": "deployment-1",
        "model_group": "smart",
        "custom_llm_provider": "anthropic",
        "api_base": "https://api.anthropic.com/v1/messages",
        "user": "u-7",
        "metadata": metadata,
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "request_tags": ["project:indexer", "urgent", "User-Agent: claude-cli", "User-Agent: claude-cli/2.1"],
        "team_id": "team-1",
        "organization_id": "org-1",
        "end_user": "customer-9",
        "requester_ip_address": "10.1.2.3",
        "session_id": "session-1",
        "status": "success",
        "mcp_namespaced_tool_name": None,
        "agent_id": None,
        "litellm_call_id": CALL,
        "request_duration_ms": 2376,
        # Kept by a proxy that is told to.
        "messages": None,
        "response": None,
        "proxy_server_request": None,
    } | changes
