"""Messages of clients as what is known of a call."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from routing.classify.hot import hashed
from routing.classify.reading import MOST_MESSAGES, MOST_PARTS, read
from routing.classify.sensitivity import judge
from routing.classify.types import Kind, Verdict


def test_openai_messages() -> None:
    found = read(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Find the caller"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"type": "function", "function": {"name": "grep", "arguments": '{"q": "x"}'}},
                    {"type": "function", "function": {"name": "read", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "main.py"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "and this?"}, {"type": "image_url", "image_url": {}}],
            },
        ],
        tools=7,
        tags={"repository_files": "30", "repository_languages": "go:1"},
    )
    known = found.known
    assert known.words == hashed("Find the caller")
    assert (known.turn, known.tools, known.recent_tools, known.modalities) == (2, 7, ("grep", "read"), ("image",))
    assert (known.files, known.languages) == (30, (("go", 1.0),))
    assert found.content.texts == ("Be brief.", "Find the caller", '{"q": "x"}', "{}", "main.py", "and this?")
    assert found.content.unreadable == ("the image",)


def test_anthropic_messages() -> None:
    found = read(
        [
            {"role": "user", "content": [{"type": "text", "text": "Fix it"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "abc"},
                    {"type": "tool_use", "id": "1", "name": "bash", "input": {"cmd": "ls", "n": [1, {"deep": "x"}]}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "a.py"}]}],
            },
        ],
        system=[{"type": "text", "text": "You are Claude."}],
    )
    assert found.known.words == hashed("Fix it")
    # What a tool answered is no turn of the user's.
    assert (found.known.turn, found.known.recent_tools) == (1, ("bash",))
    assert found.content.texts == (
        "You are Claude.", "Fix it", "hm", '{"cmd": "ls", "n": [1, {"deep": "x"}]}', "a.py",
    )  # fmt: skip
    assert found.content.unreadable == ()


def test_a_secret_is_found_wherever_it_stands() -> None:
    secret = "DB_PASSWORD=x7Gq21pLmaQ9"
    places: list[Any] = [
        {"role": "user", "content": secret},
        {"role": "user", "content": [{"type": "input_text", "text": secret}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "sh", "arguments": secret}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "name": "sh", "input": {"password": "x7Gq21pLmaQ9"}}]},
        {"role": "user", "content": [{"type": "tool_result", "content": secret}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": secret}]},
    ]
    for one in places:
        assert judge(read([one]).content).kinds == (Kind.SECRET,), one
    assert judge(read([], system=secret).content).kinds == (Kind.SECRET,)


def test_what_nobody_knows_how_to_read_is_not_clear() -> None:
    deep: Any = "DB_PASSWORD=x7Gq21pLmaQ9"
    for _ in range(10):
        deep = [{"type": "tool_result", "content": deep}]
    endless: Any = {}
    endless["again"] = endless
    for content in (
        [{"type": "video_of_tomorrow", "data": "x"}],
        [{"type": ["text"], "text": "x"}],
        [{"text": "x"}],
        [{"type": "document", "source": {"data": "JVBERi0="}}],
        deep,
        [{"type": "text", "text": "x"}] * (MOST_PARTS + 1),
        [{"type": "tool_use", "name": "x", "input": endless}],
        [7],
        {"type": "text"},
        7,
    ):
        said = judge(read([{"role": "user", "content": content}]).content)
        assert said.verdict is Verdict.UNDECIDED, content
    many = [{"role": "user", "content": "x"}] * (MOST_MESSAGES + 1)
    assert judge(read(many).content).verdict is Verdict.UNDECIDED
    assert judge(read(["hello"]).content).verdict is Verdict.UNDECIDED


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "function", "name", "arguments", "input"]
            ),
            inner | st.sampled_from(["user", "text", "tool_use", "tool_result", "thinking", "image"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=5), json_values)
def test_nothing_that_a_client_sends_raises(messages: list[Any], system: Any) -> None:
    judge(read(messages, system=system).content)
