"""A service account's key, and the token it is good for: OAuth by a signed assertion (RFC 7523), as Google's page on
service accounts has it.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from finops.connectors.fetching import Access, Refused, RequestRefused, Server
from finops.connectors.keeping import object_of
from finops.connectors.telling import words

_TOKENS: Final = "https://oauth2.googleapis.com/token"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE: Final = "https://www.googleapis.com/auth/bigquery.readonly"
_LIFE_S: Final = 3_600
# A clock of ours that is ahead makes assertions of the future, which are refused.
_AHEAD_S: Final = 30
_LONGEST: Final = 16_384
_WHAT: Final = "an answer of Google's about a token"
_NO_KEY: Final = "the credential is no service account's key: paste the JSON file as it is"


class Key(NamedTuple):
    """Never shown: `private` is what signs."""

    email: str
    name: str
    private: rsa.RSAPrivateKey
    tokens: str


def key_of(access: Access) -> Key:
    """Raises Refused."""
    try:
        said = json.loads(access.credential) if len(access.credential) <= _LONGEST else None
        if not isinstance(said, dict) or said.get("type") != "service_account":
            raise Refused(_NO_KEY)
        private = serialization.load_pem_private_key(str(said.get("private_key", "")).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, RecursionError):
        raise Refused(_NO_KEY) from None
    email = words(said.get("client_email"))
    if not isinstance(private, rsa.RSAPrivateKey) or not email:
        raise Refused(_NO_KEY)
    return Key(email, words(said.get("private_key_id")), private, _token_address(access, said.get("token_uri")))


def _token_address(access: Access, said: Any) -> str:
    """Google's, or of a server that stands for Google: a key does not lead elsewhere."""
    try:
        same = isinstance(said, str) and urlsplit(said).netloc == urlsplit(access.address).netloc
    except ValueError:
        same = False
    return said if same else _TOKENS


def token(access: Access) -> str:
    """A token for an hour. Raises FetchError: Refused where the key is not good any more."""
    key = key_of(access)
    parts = urlsplit(key.tokens)
    server = Server(Access(f"{parts.scheme}://{parts.netloc}", "", internal=access.internal), headers={})
    try:
        # Good for an hour from now, by the clock that whoever reads it has too.
        form = {"grant_type": _GRANT, "assertion": assertion(key, int(time.time()))}  # noqa: TID251
        answer = server.post_form(parts.path, form)
    except RequestRefused:
        # Of a key that was deleted or whose account is off it says 400: invalid_grant.
        raise Refused("Google does not take the service account's key") from None
    found = object_of(answer, _WHAT).get("access_token")
    if not isinstance(found, str) or not found.isascii() or not found.isprintable():
        raise Refused("Google gave no token for the service account's key")
    return found


def assertion(key: Key, now: int) -> str:
    """`now` in seconds since 1970."""
    begin = now - _AHEAD_S
    claims = {"iss": key.email, "scope": _SCOPE, "aud": key.tokens, "iat": begin, "exp": begin + _LIFE_S}
    head = {"alg": "RS256", "typ": "JWT", **({"kid": key.name} if key.name else {})}
    said = b".".join(_text(json.dumps(part).encode()) for part in (head, claims))
    return (said + b"." + _text(key.private.sign(said, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
