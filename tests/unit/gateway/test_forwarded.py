"""What of a client's headers an upstream sees."""

from __future__ import annotations

import pytest

from routing.gateway.forwarded import forwarded


def sent(*headers: tuple[str, str]) -> dict[str, str]:
    return dict(forwarded([(name.encode(), value.encode()) for name, value in headers]))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "anthropic-version",
            "anthropic-beta",
            "anthropic-client-platform",
            "anthropic-dangerous-direct-browser-access",
        ),
        *(
            "openai-beta",
            "user-agent",
            "x-app",
            "x-stainless-lang",
            "x-stainless-retry-count",
            "content-type",
            "accept",
        ),
        *("x-claude-code-session-id", "session_id", "thread-id", "x-codex-turn-metadata", "x-client-request-id"),
        *("x-session-affinity", "idempotency-key", "traceparent", "http-referer", "x-title", "x-header-of-tomorrow"),
    ],
)
def test_what_is_about_the_call_goes_through(name: str) -> None:
    assert sent((name, "Value; as=it is"))[name] == "Value; as=it is"


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie", "x-goog-api-key"),
        *("openai-organization", "openai-project"),
        *(
            "cf-access-jwt-assertion",
            "cf-access-authenticated-user-email",
            "x-amzn-oidc-data",
            "x-amzn-oidc-accesstoken",
        ),
        *("x-goog-iap-jwt-assertion", "x-goog-authenticated-user-email", "x-auth-request-access-token", "x-auth-token"),
        *(
            "x-ms-token-aad-access-token",
            "x-ms-client-principal",
            "x-ms-client-principal-name",
            "x-pomerium-jwt-assertion",
        ),
        *("x-forwarded-access-token", "x-authentik-jwt", "remote-user", "x-remote-user", "tailscale-user-login"),
        *("x-client-cert", "x-ssl-client-verify", "x-amzn-mtls-clientcert", "x-access-token", "x-id-token"),
        *("x-capstan-project", "x-litellm-tags", "x-litellm-api-key", "helicone-auth", "x-portkey-api-key"),
        *("cf-aig-metadata", "cf-aig-authorization", "x-bf-vk"),
        *("x-forwarded-for", "forwarded", "x-real-ip", "via", "referer", "origin", "baggage", "cf-connecting-ip"),
        *("host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect", "keep-alive"),
        *("content-encoding", "content-md5", "x-http-method-override"),
    ],
)
def test_credentials_private_words_and_the_connections_own_stay_here(name: str) -> None:
    assert sent((name, "x")) == {"accept-encoding": "identity"}


def test_answers_come_as_they_are() -> None:
    assert sent(("accept-encoding", "gzip, br")) == {"accept-encoding": "identity"}


def test_what_the_client_says_is_of_this_connection_stays_here() -> None:
    headers = sent(("connection", "keep-alive, X-Secret"), ("x-secret", "1"), ("x-open", "2"))
    assert headers == {"x-open": "2", "accept-encoding": "identity"}
    assert sent(("connection", "accept-encoding")) == {"accept-encoding": "identity"}


def test_a_name_that_is_nobodys_stays_here() -> None:
    assert sent(("x" * 81, "1")) == {"accept-encoding": "identity"}


def test_order_and_repetition_are_kept() -> None:
    headers = [(b"anthropic-beta", b"a"), (b"x-b", b"1"), (b"anthropic-beta", b"b")]
    assert forwarded(headers)[:3] == [("anthropic-beta", "a"), ("x-b", "1"), ("anthropic-beta", "b")]


def test_an_upstream_is_told_what_the_body_was_read_as() -> None:
    said = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-type", b"application/json"), (b"a", b"1")]
    found = forwarded(said, 'multipart/form-data; boundary="b"')
    assert found == [("a", "1"), ("content-type", 'multipart/form-data; boundary="b"'), ("accept-encoding", "identity")]


def test_bytes_that_are_no_utf8_are_no_error() -> None:
    assert forwarded([(b"x-name", b"M\xfcller")])[0] == ("x-name", "Müller")
