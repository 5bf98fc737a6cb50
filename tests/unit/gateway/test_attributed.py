"""Whose call it is, client by client: what each of them sends, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.capstan.record import LONGEST, MOST_TAGS
from routing.gateway.attributed import Attribution, Tree, attributed
from routing.gateway.dialects.types import Told
from routing.gateway.requests import FieldInvalid

NOTHING = Told()
ROOT, CHILD, GRANDCHILD = "0a1b2c3d-root", "4e5f6a7b-child", "8c9d0e1f-grandchild"
CLAUDE_CODE = {
    "user-agent": "claude-cli/2.1.140 (external, cli)",
    "x-app": "cli",
    "anthropic-version": "2023-06-01",
    "x-claude-code-session-id": ROOT,
}
CODEX = {"user-agent": "codex_cli_rs/0.80.0 (Ubuntu 24.04; x86_64)", "originator": "codex_cli_rs"}
OPENCODE = {"user-agent": "opencode/1.2.3"}


def whose(headers: Mapping[str, str | bytes], told: Told = NOTHING, tree: Tree | None = None) -> Attribution:
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers.items()]
    return attributed(raw, told, tree or Tree())


def place(found: Attribution) -> tuple[str, str, str, int]:
    return found.session, found.agent, found.parent, found.depth


def test_who_says_nothing_is_nobody() -> None:
    found = whose({})
    assert found == Attribution(found.dimensions, None, {}, "", "", 0, "", "")
    assert not any(getattr(found.dimensions, name) for name in found.dimensions.__struct_fields__)


def test_our_headers_name_owners_task_session_and_tags() -> None:
    found = whose(
        {
            "x-capstan-project": "checkout",
            "x-capstan-agent": "reviewer",
            "x-capstan-task": "code review",
            "x-capstan-customer": "müller",
            "x-capstan-person": "ada@acme.example",
            "x-capstan-team": "search",
            "x-capstan-session": "s-1",
            "x-capstan-tags": "ticket=SHOP-7, sprint = 41,,empty=",
        }
    )
    told = found.dimensions
    assert (told.team, told.person, told.project) == ("search", "ada@acme.example", "checkout")
    assert (told.agent, told.customer) == ("reviewer", "müller")
    assert (found.task_type, found.session) == ("code review", "s-1")
    assert found.tags == {"ticket": "SHOP-7", "sprint": "41", "empty": ""}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-capstan-project", "a\x00b"),
        ("x-capstan-project", b"\xff\xfe"),
        ("x-capstan-session", "s" * (LONGEST + 1)),
        ("x-capstan-agent", "re\tviewer"),
        ("x-capstan-tags", "no equals sign"),
        ("x-capstan-tags", "=no key"),
        ("x-capstan-tags", "key=" + "v" * 201),
        ("x-capstan-tags", "k" * 61 + "=v"),
        ("x-capstan-tags", ",".join(f"k{n}=v" for n in range(MOST_TAGS + 1))),
        ("x-capstan-projcet", "checkout"),
    ],
)
def test_one_of_ours_that_cannot_be_read_is_refused_by_name(name: str, value: str | bytes) -> None:
    with pytest.raises(FieldInvalid) as refused:
        whose({name: value})
    assert refused.value.field == name
    assert name in refused.value.message


def test_one_of_ours_that_says_two_things_is_refused() -> None:
    name = b"x-capstan-project"
    with pytest.raises(FieldInvalid, match="'a' and 'b'"):
        attributed([(name, b"a"), (name, b"b")], Told(), Tree())
    assert attributed([(name, b"a"), (name, b"a")], Told(), Tree()).dimensions.project == "a"
    tags = [(b"x-capstan-tags", b"a=1"), (b"x-capstan-tags", b"b=2")]
    assert attributed(tags, Told(), Tree()).tags == {"a": "1", "b": "2"}


def test_one_of_ours_that_is_for_others_is_left_to_them() -> None:
    ours = [(b"x-capstan-order", b"cheapest")]
    assert attributed(ours, Told(), Tree(), also=frozenset({b"x-capstan-order"})).tags == {}


# --- Claude Code ------------------------------------------------------------------------------------------------------


def test_claude_code_says_its_session() -> None:
    found = whose(CLAUDE_CODE, Told(session=ROOT, user="account-uuid"))
    assert place(found) == (ROOT, "", "", 0)
    assert found.tags == {"client": "claude-code"}
    assert found.identities is not None
    assert (found.identities.provider_user, found.identities.email) == ("account-uuid", "")


def test_its_sub_agents_are_in_the_sessions_tree() -> None:
    tree = Tree()
    child = whose({**CLAUDE_CODE, "x-claude-code-agent-id": CHILD}, tree=tree)
    assert place(child) == (ROOT, CHILD, "", 1)
    nested = {"x-claude-code-agent-id": GRANDCHILD, "x-claude-code-parent-agent-id": CHILD}
    grandchild = whose({**CLAUDE_CODE, **nested}, tree=tree)
    assert place(grandchild) == (ROOT, GRANDCHILD, CHILD, 2)
    assert grandchild.tags == {"client": "claude-code", "agent_id": GRANDCHILD, "parent_agent_id": CHILD}
    deeper = {"x-claude-code-agent-id": "great", "x-claude-code-parent-agent-id": GRANDCHILD}
    assert whose({**CLAUDE_CODE, **deeper}, tree=tree).depth == 3


def test_of_a_parent_nobody_heard_of_it_is_just_below() -> None:
    headers = {**CLAUDE_CODE, "x-claude-code-agent-id": GRANDCHILD, "x-claude-code-parent-agent-id": CHILD}
    assert whose(headers).depth == 2


def test_an_agent_that_is_its_own_parent_is_no_loop() -> None:
    headers = {**CLAUDE_CODE, "x-claude-code-agent-id": CHILD, "x-claude-code-parent-agent-id": CHILD}
    assert place(whose(headers)) == (ROOT, CHILD, "", 1)


def test_two_that_are_each_below_the_other_are_no_loop() -> None:
    tree = Tree()
    pairs = [("one", "other"), ("other", "one")] * 3
    headers = [{"x-claude-code-agent-id": own, "x-claude-code-parent-agent-id": above} for own, above in pairs]
    assert [whose({**CLAUDE_CODE, **one}, tree=tree).depth for one in headers] == [2, 3] * 3


def test_an_older_one_says_its_session_in_the_body_alone() -> None:
    found = whose({"user-agent": "claude-cli/1.0.3 (external, cli)"}, Told(session=ROOT))
    assert (found.session, found.tags) == (ROOT, {"client": "claude-code"})


def test_our_session_goes_before_its_own_and_the_agent_stays() -> None:
    headers = {**CLAUDE_CODE, "x-claude-code-agent-id": CHILD, "x-capstan-session": "sprint-41"}
    assert place(whose(headers)) == ("sprint-41", CHILD, "", 1)


def test_two_organizations_know_nothing_of_each_others_agents() -> None:
    nested = {"x-claude-code-agent-id": CHILD, "x-claude-code-parent-agent-id": "above"}
    ours, theirs = Tree(), Tree()
    for agent, parent in (("top", ""), ("mid", "top"), ("above", "mid")):
        headers = {**CLAUDE_CODE, "x-claude-code-agent-id": agent, "x-claude-code-parent-agent-id": parent}
        whose(headers, tree=ours)
    assert whose({**CLAUDE_CODE, **nested}, tree=ours).depth == 4
    assert whose({**CLAUDE_CODE, **nested}, tree=theirs).depth == 2


# --- Codex ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["session_id", "session-id", "thread-id", "conversation_id"])
def test_codex_says_its_session_under_several_names(name: str) -> None:
    found = whose({**CODEX, name: ROOT})
    assert (place(found), found.tags) == ((ROOT, "", "", 0), {"client": "codex"})


def test_these_names_mean_nothing_from_others() -> None:
    assert whose({"user-agent": "curl/8.5.0", "session_id": ROOT, "thread-id": CHILD}).session == ""


def test_codex_says_it_in_the_body() -> None:
    assert whose(CODEX, Told(session=ROOT)).session == ROOT


def test_a_thread_of_its_own_is_a_sub_agent_of_its_session() -> None:
    headers = {**CODEX, "session-id": ROOT, "thread-id": CHILD, "x-openai-subagent": "review"}
    found = whose(headers)
    assert place(found) == (ROOT, CHILD, "", 1)
    assert found.tags["subagent"] == "review"


def test_a_spawned_thread_is_below_the_one_above() -> None:
    tree = Tree()
    spawned = {**CODEX, "session_id": CHILD, "x-codex-parent-thread-id": ROOT, "x-openai-subagent": "collab_spawn"}
    assert place(whose(spawned, tree=tree)) == (ROOT, CHILD, "", 1)
    again = {**CODEX, "thread-id": GRANDCHILD, "x-codex-parent-thread-id": CHILD}
    assert place(whose(again, tree=tree)) == (ROOT, GRANDCHILD, CHILD, 2)
    with_root = {**CODEX, "session-id": ROOT, "thread-id": "another", "x-codex-parent-thread-id": ROOT}
    assert place(whose(with_root, tree=tree)) == (ROOT, "another", "", 1)


def test_a_thread_that_is_its_own_parent_is_no_loop() -> None:
    assert place(whose({**CODEX, "thread-id": ROOT, "x-codex-parent-thread-id": ROOT})) == (ROOT, "", "", 0)


# --- opencode ---------------------------------------------------------------------------------------------------------


def test_opencode_says_its_session_and_the_one_above() -> None:
    tree = Tree()
    main = whose({**OPENCODE, "x-session-id": ROOT, "x-session-affinity": ROOT}, tree=tree)
    assert (place(main), main.tags) == ((ROOT, "", "", 0), {"client": "opencode"})
    child = {**OPENCODE, "x-session-id": CHILD, "x-session-affinity": ROOT, "x-parent-session-id": ROOT}
    assert place(whose(child, tree=tree)) == (ROOT, CHILD, "", 1)
    grandchild = {**OPENCODE, "x-session-affinity": GRANDCHILD, "x-parent-session-id": CHILD}
    assert place(whose(grandchild, tree=tree)) == (ROOT, GRANDCHILD, CHILD, 2)
    assert place(whose({**OPENCODE, "x-parent-session-id": ROOT}, tree=tree)) == (ROOT, "", "", 0)


# --- Headers of other gateways, which stay when the base URL changes --------------------------------------------------


def test_litellms_headers_are_understood() -> None:
    found = whose(
        {
            "x-litellm-session-id": "s-1",
            "x-litellm-trace-id": "t-1",
            "x-litellm-tags": "project:foo,urgent, cost=9",
            "x-litellm-agent-id": "reviewer",
            "x-litellm-spend-logs-metadata": '{"ticket": "SHOP-7", "tries": 2, "deep": {"no": 1}}',
        }
    )
    assert (found.session, found.dimensions.agent) == ("s-1", "reviewer")
    assert found.tags == {"project": "foo", "urgent": "true", "cost": "9", "ticket": "SHOP-7", "tries": "2"}
    assert whose({"x-litellm-trace-id": "t-1"}).session == "t-1"
    ours = {"x-litellm-agent-id": "theirs", "x-capstan-agent": "ours", "x-capstan-tags": "project=ours"}
    both = whose({**ours, "x-litellm-tags": "project:theirs"})
    assert (both.dimensions.agent, both.tags) == ("ours", {"project": "ours"})


def test_helicones_headers_are_understood() -> None:
    found = whose(
        {
            "helicone-session-id": "s-2",
            "helicone-user-id": "ada@acme.example",
            "helicone-property-environment": "staging",
        }
    )
    assert (found.session, found.tags) == ("s-2", {"environment": "staging"})
    assert found.identities is not None
    assert found.identities.email == "ada@acme.example"


def test_portkeys_and_cloudflares_metadata_are_understood() -> None:
    found = whose(
        {
            "x-portkey-metadata": '{"_user": "u-7", "environment": "staging", "flag": true}',
            "cf-aig-metadata": '{"team": "search"}',
            "x-portkey-trace-id": "t-7",
        }
    )
    assert (found.session, found.tags) == ("t-7", {"environment": "staging", "flag": "true", "team": "search"})
    assert found.identities is not None
    assert found.identities.provider_user == "u-7"


def test_openrouters_app_is_a_tag() -> None:
    assert whose({"http-referer": "https://aider.chat", "x-title": "Aider"}).tags == {"app": "Aider"}
    assert whose({"http-referer": "https://aider.chat"}).tags == {"app": "https://aider.chat"}


def test_any_vendors_session_is_one() -> None:
    assert whose({"x-acme-session-id": "s-3"}).session == "s-3"
    assert whose({"x-bf-session-id": "s-4", "x-acme-session-id": "s-3"}).session == "s-4"
    assert whose({"mcp-session-id": "s-5"}).session == ""


def test_w3c_baggage_and_the_trace_are_the_last_resort() -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    baggage = {"baggage": "session.id=s%20one;ttl=1,user.id=ada%40acme.example,odd"}
    found = whose({**trace, **baggage})
    assert found.session == "s one"
    assert found.identities is not None
    assert found.identities.email == "ada@acme.example"
    assert whose(trace).session == "0af7651916cd43dd8448eb211c80319c"
    assert whose({**trace, **baggage}, Told(session="in the body")).session == "in the body"
    assert whose({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}).session == ""


# --- The SDKs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_agent", "client"),
    [
        ("OpenAI/Python 3.54.0", "openai-python"),
        ("AsyncOpenAI/Python 3.54.0", "openai-python"),
        ("OpenAI/JS 6.1.0", "openai-node"),
        ("Anthropic/Python 2.12.0", "anthropic-python"),
        ("Agents/Python 0.24.0", "openai-agents"),
        ("litellm/1.106.2", "litellm"),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("Mozilla/5.0 (X11; Linux x86_64)", ""),
        ("<script>", ""),
        ("", ""),
    ],
)
def test_the_client_is_a_tag(user_agent: str, client: str) -> None:
    assert whose({"user-agent": user_agent}).tags.get("client", "") == client


def test_openais_user_and_metadata_are_taken_from_the_body() -> None:
    told = Told(session="s-9", user="ada@acme.example", metadata={"ticket": "SHOP-7"})
    found = whose({"user-agent": "OpenAI/Python 3.54.0"}, told)
    assert (found.session, found.tags) == ("s-9", {"client": "openai-python", "ticket": "SHOP-7"})
    assert found.identities is not None
    assert (found.identities.email, found.identities.provider_user) == ("ada@acme.example", "")


def test_of_two_users_the_header_goes_before_the_body() -> None:
    found = whose({"helicone-user-id": "u-1"}, Told(user="u-2"))
    assert found.identities is not None
    assert found.identities.provider_user == "u-1"


# --- Odd ones ---------------------------------------------------------------------------------------------------------


def test_what_is_odd_in_others_headers_is_left_out() -> None:
    found = whose(
        {
            "x-litellm-session-id": "s" * (LONGEST + 1),
            "x-litellm-tags": "," * 5_000,
            "x-portkey-metadata": '{"a": ',
            "cf-aig-metadata": "[1]",
            "x-litellm-spend-logs-metadata": "[" * 5_000,
            "baggage": "%%%=%zz,=,",
            "traceparent": "00-zz",
            "helicone-user-id": "\x00\x1b",
            "user-agent": b"\xff\xff",
            "helicone-property-": "x",
        }
    )
    assert found == whose({})


def test_control_characters_do_not_come_in() -> None:
    told = Told(session="s\x00-1", user="u\x07", metadata={"k\x00": "v\r\n"})
    found = whose({"helicone-property-a": "b\x1b[31mc"}, told)
    assert (found.session, found.tags) == ("s-1", {"a": "b[31mc", "k": "v"})
    assert found.identities is not None
    assert found.identities.provider_user == "u"


def test_tags_are_bounded_and_ours_come_first() -> None:
    many = json.dumps({f"k{n}": "v" * 500 for n in range(15)})
    ours = ",".join(f"o{n}=v" for n in range(40))
    tags = whose({"x-portkey-metadata": many, "x-capstan-tags": ours}).tags
    assert len(tags) == MOST_TAGS
    assert [key for key in tags if key.startswith("o")] == [f"o{n}" for n in range(40)]
    assert max(map(len, tags.values())) <= 200


_NAMES = [
    *("x-claude-code-session-id", "x-claude-code-agent-id", "x-claude-code-parent-agent-id", "x-session-id"),
    *("x-codex-parent-thread-id", "thread-id", "session_id", "x-parent-session-id", "x-litellm-tags", "user-agent"),
    *("x-portkey-metadata", "baggage", "traceparent", "helicone-property-\xff", "helicone-user-id", "x-title"),
]


@given(st.lists(st.tuples(st.sampled_from(_NAMES), st.binary(max_size=400)), max_size=20), st.text(), st.text())
def test_nobodys_header_is_an_error_and_everything_is_bounded(
    headers: list[tuple[str, bytes]], session: str, user: str
) -> None:
    raw = [(name.encode("latin-1"), value) for name, value in headers]
    found = attributed(raw, Told(session=session, user=user, metadata={user: session}), Tree())
    texts: list[Any] = [found.session, found.agent, found.parent, *found.tags, *found.tags.values()]
    if found.identities:
        texts += [found.identities.email, found.identities.provider_user]
    for said in texts:
        assert len(said) <= LONGEST
        assert not any(ord(sign) < 32 for sign in said)
        said.encode()


def test_what_is_remembered_is_bounded() -> None:
    tree = Tree()
    for number in range(50_000):
        tree.agent("s", f"a{number}", "")
    assert len(tree._known) <= 20_000
