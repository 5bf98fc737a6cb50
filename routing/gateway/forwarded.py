"""Which of a client's headers an upstream sees: what is about the call, and nothing of whose it is or by which way it
came.

Passed on are `anthropic-*`, `openai-beta`, `user-agent`, `x-stainless-*`, ids that clients send to their providers
(Claude Code, Codex, opencode: prompt caches go by them), `idempotency-key`, `traceparent`, OpenRouter's `http-referer`
and `x-title`, and whatever nobody here knows: headers of tomorrow's betas.

`openai-organization` and `openai-project` are not: they say whose account pays, and the account is the upstream's.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

# Of one connection, or worked out anew for the next.
_OF_THE_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"expect",
        b"host",
        b"accept-encoding",
        # The body is written anew.
        b"content-length",
        b"content-encoding",
        b"content-md5",
        b"content-digest",
        b"digest",
    }
)
_CREDENTIALS: Final = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"ocp-apim-subscription-key",
        b"cookie",
        b"cookie2",
        b"openai-organization",
        b"openai-project",
        b"x-access-token",
        b"x-id-token",
        b"x-jwt-assertion",
        b"x-amz-security-token",
        b"x-csrf-token",
        b"x-xsrf-token",
        b"private-token",
    }
)
# What a company's sign-on or its proxy says of who calls: Cloudflare, AWS, Google, Azure, oauth2-proxy and nginx,
# Pomerium, authentik, Authelia, Tailscale, and proxies that end TLS with certificates of clients.
_SIGNED_ON: Final = (
    b"cf-access-", b"x-amzn-oidc-", b"x-amzn-mtls-", b"x-goog-iap-", b"x-goog-authenticated-user-", b"x-ms-token-",
    b"x-ms-client-principal", b"x-auth-", b"x-pomerium-", b"x-authentik-", b"x-remote-", b"remote-", b"x-webauth-",
    b"tailscale-user-", b"x-client-cert", b"x-ssl-client-", b"ssl-client-", b"x-arr-clientcert",
)  # fmt: skip
# The company's own: addresses of people's machines, pages they were on, what services tell each other.
_PRIVATE: Final = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"cf-ipcountry",
        b"cf-ray",
        b"cf-visitor",
        b"origin",
        b"referer",
        b"baggage",
        # A method that is another than what was allowed.
        b"x-http-method-override",
    }
)
_KEPT_BACK: Final = _OF_THE_CONNECTION | _CREDENTIALS | _PRIVATE
# Said to gateways, which we are: ours, and those of the ones whose place we take.
_TO_GATEWAYS: Final = (b"x-capstan-", b"x-litellm-", b"helicone-", b"x-portkey-", b"x-bf-", b"cf-aig-", b"x-forwarded-")
_WITHHELD: Final = (*_SIGNED_ON, *_TO_GATEWAYS)
# Nobody's header has a longer name, and names are remembered.
_LONGEST: Final = 80
_USUAL: Final = frozenset({b"keep-alive", b"close"})


def forwarded(headers: Collection[tuple[bytes, bytes]], content_type: str = "") -> list[tuple[str, str]]:
    """`headers` have names in lower case, as ASGI gives them. An answer comes as it is: it is read on its way.
    `content_type` is what the body was read as, where what the client says it is may be read otherwise.
    """
    try:
        kept = [(shown, value.decode()) for name, value in headers if len(name) <= _LONGEST and (shown := _shown(name))]
    except UnicodeDecodeError:
        kept = [
            (shown, _decoded(value)) for name, value in headers if len(name) <= _LONGEST and (shown := _shown(name))
        ]
    if content_type:
        kept = [*(pair for pair in kept if pair[0] != "content-type"), ("content-type", content_type)]
    kept.append(("accept-encoding", "identity"))
    for name, value in headers:
        if name == b"connection" and value.lower() not in _USUAL:
            # A client may name more headers that are of this connection alone.
            more = {one.strip().lower() for one in value.decode("latin-1").split(",")} - {"accept-encoding"}
            kept = [pair for pair in kept if pair[0] not in more]
    return kept


@lru_cache(maxsize=2_000)
def _shown(name: bytes) -> str:
    """The name as it is sent; '' when it is not."""
    return "" if name in _KEPT_BACK or name.startswith(_WITHHELD) else name.decode("latin-1")


def _decoded(value: bytes) -> str:
    """Sent as UTF-8 again."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
