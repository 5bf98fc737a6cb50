"""What may be an upstream, from values alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.addresses import AddressRefused
from routing.upstreams import rules
from routing.upstreams.rules import UpstreamInvalid
from routing.upstreams.types import DeploymentDraft, UpstreamDraft, WishesDraft

PLAIN = UpstreamDraft(name="openai", dialect="openai", base_url="https://api.openai.com/v1", provider="openai")
INSIDE = frozenset({"localhost:11434", "vllm.internal"})


def checked(**said: Any) -> UpstreamDraft:
    return rules.check_upstream(replace(PLAIN, **said), internal=INSIDE)


def test_what_is_said_is_kept_in_one_form() -> None:
    found = checked(
        name=" OpenAI ",
        base_url=" https://api.openai.com/v1/// ",
        provider="OpenAI",
        host=" EU ",
        region=" eu-west-1 ",
        labels=("Local", "local", "fast"),
        headers={" X-Title ": " Acme ", "http-referer": "https://acme.example"},
    )
    assert (found.name, found.base_url, found.provider) == ("openai", "https://api.openai.com/v1", "openai")
    assert (found.host, found.region, found.labels) == ("eu", "eu-west-1", ("fast", "local"))
    assert found.headers == {"http-referer": "https://acme.example", "x-title": "Acme"}
    assert rules.check_upstream(found, internal=INSIDE) == found


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", ""),
        ("name", "42"),
        ("name", "a b"),
        ("name", "-a"),
        ("name", "a" * 61),
        ("dialect", "gemini"),
        ("auth", "basic"),
        ("provider", ""),
        ("provider", "open ai"),
        ("host", "a/b"),
        ("region", "eu west"),
        ("labels", ("",)),
        ("labels", tuple(f"l{number}" for number in range(11))),
        ("weight", 0),
        ("weight", 1_001),
        ("connect_s", 0.0),
        ("connect_s", 61.0),
        ("first_byte_s", float("nan")),
        ("total_s", float("inf")),
        ("total_s", 59.0),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(field: str, wrong: Any) -> None:
    with pytest.raises(UpstreamInvalid) as refused:
        checked(**{field: wrong})
    assert refused.value.field == field


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "api.openai.com/v1",
        "ftp://api.openai.com",
        "http://api.openai.com/v1",
        "https://",
        "https:///v1",
        "https://user:word@api.openai.com/v1",
        "https://user@api.openai.com/v1",
        "https://api.openai.com/v1?api-version=1",
        "https://api.openai.com/v1?",
        "https://api.openai.com/v1#",
        "https://api.openai.com:port/v1",
        "https://api.openai.com:99999/v1",
        "https://api.openai.com/v 1",
        "https://api.openai.com\\@evil.example/v1",
        "https://api.openai.com/v1\n",
        "https://аpi.openai.com/v1",
        "https://[::1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://127.1/v1",
        "https://0x7f000001/v1",
        "https://0/v1",
        "https://LOCALHOST./v1",
        "https://api.localhost/v1",
        "http://localhost:8000/v1",
        "https://100.64.0.1/v1",
        f"https://{'a' * 300}.example",
    ],
)
def test_an_address_that_may_not_be_called_is_refused(wrong: str) -> None:
    if wrong.endswith("\n"):
        wrong = wrong.replace("/v1\n", "/\nv1")
    with pytest.raises(AddressRefused) as refused:
        checked(base_url=wrong)
    assert refused.value.field == "base_url"


@pytest.mark.parametrize(
    "right",
    ["http://localhost:11434/v1", "http://vllm.internal/v1", "https://vllm.internal:8443", "https://8.8.8.8/v1"],
)
def test_an_address_that_may_be_called_is_kept(right: str) -> None:
    assert checked(base_url=right).base_url == right


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "x-api-key", "api_key", "Api-Key", "x-goog-api-key", "cookie", "Set-Cookie",
        "Proxy-Authorization", "x-auth-token", "X-Amz-Security-Token", "openai-secret", "host", "content-length",
        "transfer-encoding", "connection", "proxy-connection", "x-forwarded-for", "x-capstan-project", "a b", "",
        "x\r\ny", "ümlaut", "a" * 61,
    ],
)  # fmt: skip
def test_headers_that_are_secret_or_the_gateways_own_are_refused(name: str) -> None:
    with pytest.raises(UpstreamInvalid) as refused:
        checked(headers={name: "value"})
    assert refused.value.field == "headers"


@pytest.mark.parametrize("value", ["", "two\r\nlines", "ümlaut", "a" * 501])
def test_values_of_headers_are_one_bounded_line(value: str) -> None:
    with pytest.raises(UpstreamInvalid):
        checked(headers={"x-title": value})


def test_headers_are_few_and_given_once() -> None:
    for wrong in ({f"x-{number}": "1" for number in range(11)}, {"X-Title": "a", "x-title": "b"}):
        with pytest.raises(UpstreamInvalid):
            checked(headers=wrong)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_said_of_a_header_no_line_can_be_smuggled(name: str, value: str) -> None:
    try:
        kept = checked(headers={name: value}).headers
    except UpstreamInvalid:
        return
    [(one, what)] = kept.items()
    assert not set("\r\n\0 :") & set(one)
    assert not set("\r\n\0") & set(what)


def test_a_credential_is_one_line_and_only_its_end_is_shown() -> None:
    assert rules.check_credential(" sk-0123456789abcdef ", auth="bearer") == "sk-0123456789abcdef"
    assert rules.check_credential("", auth="none") == ""
    for wrong, auth in (
        ("", "bearer"), ("a\nb", "bearer"), ("Bearer sk-1", "bearer"), ("ümlaut", "x-api-key"),
        ("a" * 2_001, "api-key"), ("sk-1", "none"),
    ):  # fmt: skip
        with pytest.raises(UpstreamInvalid) as refused:
            rules.check_credential(wrong, auth=auth)
        assert refused.value.field == "credential"
        assert not wrong or wrong not in refused.value.message
    assert (rules.hint_of("sk-0123456789abcdef"), rules.hint_of("short-one")) == ("cdef", "")


def test_a_deployment_is_named_as_the_client_names_it_unless_said() -> None:
    assert rules.check_deployment(DeploymentDraft(" gpt ")) == DeploymentDraft("gpt", "gpt")
    assert rules.check_deployment(DeploymentDraft("gpt", "openai/gpt")).upstream_model == "openai/gpt"
    for wrong, field in (
        (DeploymentDraft(""), "model"),
        (DeploymentDraft("auto"), "model"),
        (DeploymentDraft("a b"), "model"),
        (DeploymentDraft("a" * 201), "model"),
        (DeploymentDraft("gpt", "a\nb"), "upstream_model"),
        (DeploymentDraft("gpt", rank=-1), "rank"),
        (DeploymentDraft("gpt", rank=101), "rank"),
        (DeploymentDraft("gpt", weight=0), "weight"),
    ):
        with pytest.raises(UpstreamInvalid) as refused:
            rules.check_deployment(wrong)
        assert refused.value.field == field


def test_what_a_key_wishes_is_kept_in_one_form() -> None:
    said = WishesDraft((" Azure ", "openai", "azure"), True, "floor", Decimal("2.5"))
    assert rules.check_wishes(said) == WishesDraft(("azure", "openai"), True, "floor", Decimal("2.500000"))
    assert rules.check_wishes(WishesDraft(sort="nitro")).order == ()
    assert rules.check_wishes(WishesDraft(most_per_million=Decimal(0))).most_per_million == 0


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("order", WishesDraft()),
        ("order", WishesDraft(only=True, sort="floor")),
        ("order", WishesDraft(("",))),
        ("order", WishesDraft(("two words",))),
        ("order", WishesDraft(("a" * 61,))),
        ("order", WishesDraft(tuple(f"upstream-{number}" for number in range(21)))),
        ("sort", WishesDraft(sort="cheapest")),
        ("most_per_million", WishesDraft(most_per_million=Decimal("-0.01"))),
        ("most_per_million", WishesDraft(most_per_million=Decimal("1000000.01"))),
        ("most_per_million", WishesDraft(most_per_million=Decimal("0.0000001"))),
        ("most_per_million", WishesDraft(most_per_million=Decimal("NaN"))),
        ("most_per_million", WishesDraft(most_per_million=Decimal("sNaN"))),
        ("most_per_million", WishesDraft(most_per_million=Decimal("Infinity"))),
    ],
)
def test_a_wish_that_cannot_be_is_refused_by_its_field(field: str, wrong: WishesDraft) -> None:
    with pytest.raises(UpstreamInvalid) as refused:
        rules.check_wishes(wrong)
    assert refused.value.field == field
