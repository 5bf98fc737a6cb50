"""Objects in a bucket of S3, listed page by page and read piece by piece, by AWS' own client.

It is loaded when the first feed is read: a process that reads none starts without it. It tries nothing twice: whoever
polls waits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from finops.connectors.addresses import AddressRefused, Unreachable, check_address, is_internal, resolve
from finops.connectors.fetching import Access, Away, FetchError, Limited, Refused, RequestRefused, refusal
from finops.connectors.outgoing import LONGEST_READING_S
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.paging import UNSAID, followed

# What is asked where no other address is said; boto3 knows those of regions.
ADDRESS: Final = "https://s3.amazonaws.com"
# Instead of a key: the role of the machine it runs on.
ROLE: Final = "role"
REGION: Final = "us-east-1"
_OWN: Final = re.compile(r"[a-z0-9.-]*\.amazonaws\.com(\.cn)?")
_KEY: Final = re.compile(r"[A-Z0-9]{16,128}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}")
_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,60}")
_PIECE: Final = 64 * 1024
_CONNECT_S: Final = 5.0
_SILENT_S: Final = 30.0
_LIMITS: Final = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"})
_REFUSALS: Final = frozenset(
    {"AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
# The first two: it was written anew, or removed, since it was listed.
_LATER: Final = frozenset({"PreconditionFailed", "NoSuchKey", "RequestTimeout", "RequestTimeTooSkewed"})


class Stored(NamedTuple):
    """An object as it was listed; `version` tells whether it is still the same."""

    key: str
    size: int
    version: str
    changed_at: datetime

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


class Bucket:
    """One bucket. Whatever is asked of it may raise FetchError and BodyUnreadable."""

    def __init__(self, access: Access, name: str) -> None:
        self._name = name
        self._client = _client(access)

    def folders(self, prefix: str) -> list[str]:
        """Names of what is a folder below a prefix, which ends in a slash."""
        return [
            said["Prefix"].removeprefix(prefix).strip("/")
            for answer in self._listed(Prefix=prefix, Delimiter="/")
            for said in answer.get("CommonPrefixes") or ()
        ]

    def objects(self, prefix: str, *, deep: bool = False) -> Iterator[list[Stored]]:
        """Pages of objects right below a prefix, or of all below."""
        for answer in self._listed(Prefix=prefix, **({} if deep else {"Delimiter": "/"})):
            yield [
                Stored(said["Key"], said["Size"], said["ETag"], said["LastModified"])
                for said in answer.get("Contents") or ()
            ]

    def has_any(self, prefix: str) -> bool:
        return bool(self._list(Prefix=prefix, MaxKeys=1).get("Contents"))

    def pieces(self, stored: Stored) -> Iterator[bytes]:
        """What an object holds, as it was when it was listed: another one since then raises Away, and one of another
        length BodyUnreadable, for without its bytes it would say that nothing was used.
        """
        until, read = time.monotonic() + LONGEST_READING_S, 0
        with _told():
            body = self._client.get_object(Bucket=self._name, Key=stored.key, IfMatch=stored.version)["Body"]
            try:
                for piece in body.iter_chunks(_PIECE):
                    if time.monotonic() > until:
                        raise Away("the object takes too long")
                    read += len(piece)
                    yield piece
            finally:
                body.close()
        if read != stored.size:
            raise BodyUnreadable(f"The object has {read:,} bytes, and was listed with {stored.size:,}.")

    def _listed(self, **said: str) -> Iterator[dict[str, Any]]:
        """Pages of a listing. Raises PagesBroken where they lead nowhere."""
        answers: list[dict[str, Any]] = []

        def ask(after: str) -> Page:
            answers[:] = [self._list(**said, **({"ContinuationToken": after} if after else {}))]
            more = answers[0]["IsTruncated"]
            return Page((), (answers[0].get("NextContinuationToken") or UNSAID) if more else "")

        for _ in followed(ask):
            yield answers[0]

    def _list(self, **said: Any) -> dict[str, Any]:
        with _told():
            asked = {name: value for name, value in said.items() if value != ""}
            answer: dict[str, Any] = self._client.list_objects_v2(Bucket=self._name, **asked)
        return answer


def _client(access: Access) -> Any:
    """Raises Refused, RequestRefused and Away before anything is asked."""
    parts = check_address(access.address, internal=access.internal)
    host = parts.hostname or ""
    is_own = bool(_OWN.fullmatch(host))
    credential = access.credential.strip()
    region = access.settings.get("region", "").strip() or REGION
    if not _REGION.fullmatch(region):
        raise RequestRefused("the setting 'region' is no region of AWS, like us-east-1")
    given: dict[str, Any] = {"region_name": region}
    if credential == ROLE:
        if not is_own:
            # Its token would go to whoever is there.
            raise RequestRefused("the machine's role is for AWS' own address only")
    else:
        key, _, secret = credential.partition(":")
        if not _KEY.fullmatch(key) or not secret:
            raise Refused("the credential is no access key: say its id, a colon and its secret")
        given |= {"aws_access_key_id": key, "aws_secret_access_key": secret}
    if not is_own:
        _check_reachable(host, parts.port or (443 if parts.scheme == "https" else 80), access, parts.scheme)
    with _told():
        return _made(given, "" if is_own else access.address)


def _check_reachable(host: str, port: int, access: Access, scheme: str) -> None:
    """Its client looks the name up again; a host that is not ours then shows a certificate for it."""
    own = is_internal(check_address(access.address, internal=access.internal), access.internal)
    try:
        resolve(host, port, internal=own)
    except Unreachable as error:
        raise Away(str(error)) from None
    except AddressRefused as error:
        raise RequestRefused(str(error)) from None


def _made(given: dict[str, Any], endpoint: str) -> Any:
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_SILENT_S,
        retries={"total_max_attempts": 1},
        # Neither the machine's proxies nor addresses of its settings: what is asked is what the account says.
        proxies={},
        ignore_configured_endpoint_urls=True,
        # Names with dots and servers without names of their own are found either way.
        s3={"addressing_style": "path"},
        user_agent_extra="capstan",
    )
    client = _session().client("s3", endpoint_url=endpoint or None, config=config, **given)
    client.meta.events.register_first("before-parse.s3.ListObjectsV2", _check_list)
    return client


@cache
def _session() -> Any:
    """Reading what AWS' client knows of S3 takes longer than most calls, so it is done once."""
    import boto3

    return boto3.session.Session()


def _check_list(response_dict: Mapping[str, Any], **_: Any) -> None:
    """Any other XML would be an empty list, which is to say that nothing was spent. What is none at all has become a
    500 by now: S3's own have an <Error>.
    """
    status, begins = response_dict["status_code"], response_dict["body"][:1_000].lstrip()
    is_page = begins[:14].lower().startswith((b"<!doctype html", b"<html"))
    if is_page or (status == 200 and b"<ListBucketResult" not in begins):
        raise BodyUnreadable("The answer is no list of a bucket's objects.")


@contextmanager
def _told() -> Iterator[None]:
    """What AWS' client raises, as one of ours."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _meant(error.response) from None
    except ResponseParserError:
        raise BodyUnreadable("The answer is not what S3 says: no XML.") from None
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
        raise Refused("this machine has no role of AWS") from None
    except BotoCoreError as error:
        raise Away(f"S3 cannot be reached ({type(error).__name__})") from None


def _meant(response: Any) -> FetchError:
    """By AWS' code first: S3 says 503 where it is asked too often, and 400 for a key that has run out."""
    found = str((response.get("Error") or {}).get("Code") or "")
    code = found if _CODE.fullmatch(found) else ""
    about = response.get("ResponseMetadata") or {}
    status, headers = int(about.get("HTTPStatusCode") or 0), dict(about.get("HTTPHeaders") or {})
    said = f"S3 answered {status} {code}".strip()
    if code in _LIMITS:
        limit = refusal(429, headers)
        return Limited(said, after_s=limit.after_s) if isinstance(limit, Limited) else limit
    if code in _REFUSALS:
        return Refused(said)
    if code in _LATER:
        return Away(said)
    if 300 <= status < 400:
        return RequestRefused(f"{said}: the bucket is in another region")
    meant = refusal(status, headers)
    return RequestRefused(said) if isinstance(meant, RequestRefused) else meant
