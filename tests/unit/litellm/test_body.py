"""What of a call bounds it, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from capstan_litellm.body import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, TEXT, Unbounded, ask_of
from capstan_litellm.owner import owner_of
from capstan_litellm.settings import SettingsWrong, from_environment, mapping_of

ENVIRONMENT = {"CAPSTAN_URL": "https://capstan.example.com/", "CAPSTAN_KEY": "cap_x", "CAPSTAN_SPOOL": "spool"}


def chat(*parts: Any, **more: Any) -> dict[str, Any]:
    content = parts[0] if len(parts) == 1 else list(parts)
    return {"model": "gpt", "messages": [{"role": "user", "content": content}], **more}


def test_text_is_bounded_by_its_bytes_whatever_the_language() -> None:
    said = "Größe " * 100 + "語" * 50 + '"\\'
    ask = ask_of(chat(said), CHAT)
    assert ask.size >= len(said.encode())
    assert (ask.messages, ask.limit, ask.choices) == (1, None, 1)


def test_everything_a_model_reads_counts() -> None:
    plain = ask_of(chat("hi"), CHAT).size
    tool = {"type": "function", "function": {"name": "f", "description": "x" * 500}}
    ask = ask_of(chat("hi", tools=[tool], response_format={"type": "json_schema", "json_schema": "y" * 300}), CHAT)
    assert ask.size >= plain + 800
    assert (ask.tools, ask.hosted_tools) == (1, [])


def test_the_smaller_of_two_limits_holds_and_each_choice_counts() -> None:
    assert ask_of(chat("hi", max_tokens=50, max_completion_tokens=20, n=3), CHAT).limit == 20
    assert ask_of(chat("hi", n=3), CHAT).choices == 3
    assert ask_of({"model": "gpt", "prompt": ["a", "b"], "n": 2}, TEXT).choices == 4
    assert ask_of({"model": "gpt", "prompt": [1, 2, 3]}, TEXT).choices == 1


def test_embeddings_answer_nothing() -> None:
    ask = ask_of({"model": "embed", "input": ["a", "b"]}, EMBEDDINGS)
    assert (ask.limit, ask.least) == (0, 0)


def test_what_is_not_in_the_body_is_named() -> None:
    url = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert ask_of(chat(url, {"type": "text", "text": "?"}), CHAT).server_input == ["url"]
    file = {"type": "input_file", "file_id": "file_1"}
    body = {"model": "gpt", "input": [{"role": "user", "content": [file]}], "previous_response_id": "r"}
    assert ask_of(body, RESPONSES).server_input == ["file_id", "previous_response_id"]
    pdf = {"type": "document", "source": {"type": "base64", "data": "JVBERi0="}}
    assert ask_of(chat(pdf, {"type": "text", "text": "?"}), MESSAGES).server_input == ["other"]


def test_an_image_in_the_body_is_bounded_by_the_most_one_can_be() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    ask = ask_of(chat(image, {"type": "text", "text": "?"}), CHAT)
    assert ask.server_input == []
    assert ask.input_bytes("openai") - ask.size == 50_000
    assert ask.input_bytes("anthropic") - ask.size == 5_000


def test_tools_that_the_provider_runs_are_named_with_their_maximum() -> None:
    tools = [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
        {"type": "web_search_preview"},
        {"type": "bash_20250124", "name": "bash"},
        {"name": "mine", "input_schema": {}},
    ]
    ask = ask_of(chat("hi", tools=tools), CHAT)
    assert ask.hosted_tools == [{"type": "web_search", "max_uses": 5}, {"type": "web_search"}]
    assert ask_of(chat("hi", web_search_options={}), CHAT).hosted_tools == [{"type": "web_search"}]


def test_thinking_is_not_cut_below_its_budget() -> None:
    ask = ask_of(chat("hi", max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 4000}), MESSAGES)
    assert (ask.limit, ask.least) == (9000, 4001)


@pytest.mark.parametrize(
    "more",
    [
        {"background": True},
        {"prediction": {"type": "content", "content": "x"}},
        {"modalities": ["text", "audio"], "audio": {"voice": "a"}},
        {"extra_body": {"max_tokens": 100_000}},
        {"extra_body": {"service_tier": "priority"}},
        {"max_new_tokens": 100_000},
        {"fallbacks": [{"model": "other", "messages": [{"role": "user", "content": "longer"}]}]},
    ],
)
def test_what_nothing_bounds_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(Unbounded):
        ask_of(chat("hi", **more), CHAT)


def test_nesting_cannot_hide_anything() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    with pytest.raises(Unbounded):
        ask_of(chat(deep), CHAT)


def test_the_fingerprint_tells_equal_calls_and_nothing_else() -> None:
    one, other = (ask_of(chat("hi"), CHAT, secret="k").fingerprint for _ in range(2))
    assert one == other
    assert one != ask_of(chat("ho"), CHAT, secret="k").fingerprint
    assert one != ask_of(chat("hi"), CHAT, secret="another").fingerprint


def test_whom_a_call_is_charged_to() -> None:
    auth = {"team_alias": "Search", "user_id": "bob", "user_email": "bob@example.com", "key_alias": "ci"}
    headers = {"X-Capstan-Agent": "crawler", "X-Capstan-Team": "Chat", "x-claude-code-agent-id": "a"}
    metadata = {"tags": ["project:atlas", "User-Agent: curl", "plain"], "session_id": "s-1", "headers": headers}
    metadata["user_api_key_team_alias"] = "Chat"
    data = chat("hi", metadata=metadata, user="ignored")
    owner = owner_of(data, auth, from_environment(ENVIRONMENT))
    # Neither a header nor metadata moves a call out of its team.
    assert owner.dimensions == {"team": "Search", "project": "atlas", "agent": "crawler"}
    assert owner.identities == {"email": "bob@example.com", "provider_user": "bob", "key_alias": "ci"}
    assert (owner.session, owner.tags, owner.depth) == ("s-1", {"project": "atlas"}, 1)


def test_a_key_without_a_team_is_in_none() -> None:
    data = chat("hi", metadata={"user_api_key_team_alias": "Chat"})
    assert owner_of(data, {}, from_environment(ENVIRONMENT)).dimensions == {}


def test_what_claude_code_writes_for_a_user_is_no_customer() -> None:
    settings = from_environment(ENVIRONMENT)
    for said in ("user_1_account_2_session_3", '{"device_id": "x"}'):
        assert "customer" not in owner_of(chat("hi"), {"end_user_id": said}, settings).dimensions
    assert owner_of(chat("hi"), {"end_user_id": "acme"}, settings).dimensions["customer"] == "acme"


def test_settings_are_read_once_and_checked() -> None:
    settings = from_environment({**ENVIRONMENT, "CAPSTAN_MAP": "team=header:x-team|team_id, customer="})
    assert settings.url == "https://capstan.example.com"
    assert settings.when_unreachable == "closed"
    assert (settings.mapping["team"], settings.mapping["customer"]) == (("header:x-team", "team_id"), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAPSTAN_URL", "capstan.example.com"),
        ("CAPSTAN_KEY", ""),
        ("CAPSTAN_WHEN_UNREACHABLE", "maybe"),
        ("CAPSTAN_TIMEOUT", "soon"),
        ("CAPSTAN_MAP", "tem=team_id"),
        ("CAPSTAN_MAP", "team=nothing"),
    ],
)
def test_a_mistake_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsWrong, match=name):
        from_environment({**ENVIRONMENT, name: value})


def test_the_map_has_a_default_for_every_target_but_the_person() -> None:
    assert set(mapping_of("")) == {"team", "project", "agent", "customer", "session", "task_type"}
