"""A billing export in BigQuery that is made up: tokens for signed assertions, queries and their pages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth
from tests.fakes.reports.shared import DAY, HOUR, Wrong, added, at_most, known, midnight, paged

TABLE: Final = "acme-billing.export.gcp_billing_export_v1_01AB_23CD"
_ROOT: Final = "/bigquery/v2/projects/acme-billing/queries"
_SCOPE: Final = "https://www.googleapis.com/auth/bigquery.readonly"
_SQL: Final = re.compile(
    r"SELECT TO_JSON_STRING\(t\) FROM \(SELECT (?P<columns>[a-z_, ]+) FROM `(?P<table>[^`]+)`"
    r" WHERE export_time >= @since AND export_time < @until AND service\.description IN UNNEST\(@services\)\) AS t"
)
_PICO: Final = 10**12
_MICRO: Final = 10**6
# Of a row: its SKU, how many million tokens, and millionths of a dollar before and of its credits.
_SKUS: Final = (
    ("Gemini 3 Pro Text Input - Predictions", 0.05, 60_000, 15_000),
    ("Gemini 3 Pro Text Output - Predictions", 0.01, 120_000, 0),
    ("Gemini 3 Pro Text Input Caching", 0.2, 50_000, 10_000),
)


@cache
def private_key() -> rsa.RSAPrivateKey:
    """Made once: it takes a while."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


class GoogleReports(Reporting):
    """Three SKUs every eight hours, exported hours later; two rows that say the same. Pages of three rows."""

    account: ClassVar[str] = "google"
    owing: ClassVar[tuple[str, ...]] = ("google-billing",)
    settings: ClassVar[Mapping[str, str]] = {"table": TABLE}
    waits = 0

    def make(self) -> None:
        self.until = midnight(self.until)
        begin = self.until - self.days * DAY
        self.rows: list[tuple[dict[str, Any], int]] = []
        for number in range(self.days * 3):
            for sku, amount, micro, credited in _SKUS:
                at = begin + number * 8 * HOUR
                self.rows.append(
                    (_row(at, at + 5 * HOUR, sku, amount, micro + number, credited), micro + number - credited)
                )
        self.rows.append(self.rows[0])
        self.jobs: dict[str, dict[str, Any]] = {}

    @property
    def credential(self) -> str:
        pem = private_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "acme-billing",
                "private_key_id": hashlib.sha256(self._name.encode()).hexdigest()[:40],
                "private_key": pem.decode(),
                "client_email": f"{self._name}@acme-billing.iam.gserviceaccount.com",
                "token_uri": f"{self.address}/token",
            }
        )

    @credential.setter
    def credential(self, secret: str) -> None:
        self._name = f"capstan-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer ya29.{self._name}"

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.path == "/token":
            return self._token(asked)
        return super().answer(asked)

    def _token(self, asked: Asked) -> tuple[int, Any]:
        said = {name: value for name, (value,) in parse_qs(asked.body if isinstance(asked.body, str) else "").items()}
        is_good = (
            asked.method == "POST"
            and asked.headers.get("content-type") == "application/x-www-form-urlencoded"
            and said.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            and self._is_signed(said.get("assertion", ""))
        )
        if self.is_revoked or not is_good:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        return 200, {"access_token": f"ya29.{self._name}", "expires_in": 3_599, "token_type": "Bearer"}

    def _is_signed(self, assertion: str) -> bool:
        head, claims, signature = (_bytes(part) for part in assertion.split("."))
        key, said = json.loads(self.credential), json.loads(claims)
        try:
            signed = assertion.rpartition(".")[0].encode()
            private_key().public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        times = said.pop("iat"), said.pop("exp")
        return bool(
            json.loads(head) == {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]}
            and said == {"iss": key["client_email"], "scope": _SCOPE, "aud": key["token_uri"]}
            and 0 < times[1] - times[0] <= 3_600
        )

    def page(self, asked: Asked) -> tuple[int, Any]:
        try:
            if asked.method == "POST" and asked.path == _ROOT:
                return 200, self._queried(asked)
            name = asked.path.removeprefix(f"{_ROOT}/")
            if asked.method == "GET" and name in self.jobs:
                known(asked, {"maxResults", "timeoutMs", "pageToken", "location"})
                if asked.query.get("location") != "EU":
                    return 404, {"error": {"code": 404, "message": "Not found: Job"}}
                return 200, self._results(name, asked)
        except Wrong as error:
            return 400, {"error": {"code": 400, "message": str(error), "errors": [{"reason": "invalidQuery"}]}}
        return 404, {"error": {"code": 404, "message": "Not found"}}

    def _queried(self, asked: Asked) -> dict[str, Any]:
        body = asked.body
        found = _SQL.fullmatch(body["query"])
        if found is None or found["table"] != TABLE or body["useLegacySql"] is not False:
            raise Wrong("Syntax error")
        given = {one["name"]: one["parameterValue"] for one in body["queryParameters"]}
        kinds = {one["name"]: one["parameterType"]["type"] for one in body["queryParameters"]}
        if kinds != {"since": "TIMESTAMP", "until": "TIMESTAMP", "services": "ARRAY"}:
            raise Wrong("parameters")
        since, until = (datetime.fromisoformat(given[name]["value"]) for name in ("since", "until"))
        services = {one["value"] for one in given["services"]["arrayValues"]}
        columns = found["columns"].split(", ")
        if body.get("dryRun"):
            return {"kind": "bigquery#queryResponse", "jobComplete": True, "totalBytesProcessed": "10"}
        rows = [
            {name: row[name] for name in columns}
            for row, _ in self.rows
            if since <= _moment(row["export_time"]) < until and row["service"]["description"] in services
        ]
        name = f"job_{len(self.jobs)}"
        self.jobs[name] = {"rows": rows, "waits": self.waits}
        return self._results(name, asked)

    def _results(self, name: str, asked: Asked) -> dict[str, Any]:
        job = self.jobs[name]
        said: dict[str, Any] = {"jobReference": {"projectId": "acme-billing", "jobId": name, "location": "EU"}}
        if job["waits"]:
            job["waits"] -= 1
            return said | {"jobComplete": False}
        if asked.method == "GET":
            at_most(asked, "maxResults", 3, 10_000)
        # Tokens are of the job, by whichever question it was asked for.
        plain = Asked("GET", name, {key: value for key, value in asked.query.items() if key == "pageToken"}, None, {})
        shown, after = paged(plain, job["rows"], 3, name="pageToken")
        said |= {"jobComplete": True, "totalRows": str(len(job["rows"])), "schema": {"fields": [{"type": "STRING"}]}}
        if shown:
            said["rows"] = [{"f": [{"v": json.dumps(row)}]} for row in shown]
        return said | ({"pageToken": after} if after else {})

    def truth(self, feed: str) -> Truth:
        return added(({}, {"USD": micro * _PICO // _MICRO}) for _, micro in self.rows)

    def revise(self) -> None:
        """A row is never changed: another says what is different, as it is known later."""
        at = self.until - 10 * HOUR
        self.rows.append((_row(at, self.until - HOUR, _SKUS[1][0], 0.001, 7_000, 0), 7_000))


def _row(at: datetime, exported: datetime, sku: str, amount: float, micro: int, credited: int) -> dict[str, Any]:
    return {
        "billing_account_id": "01AB-23CD",
        "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
        "sku": {"id": hashlib.sha256(sku.encode()).hexdigest()[:8], "description": sku},
        "usage_start_time": _text(at),
        "usage_end_time": _text(at + HOUR),
        "project": {"id": "acme-search", "name": "Search", "labels": [{"key": "cost_center", "value": "cc42"}]},
        "labels": [{"key": "team", "value": "search"}],
        "location": {"location": "europe-west1", "country": "AT", "region": "europe-west1"},
        "cost": micro / _MICRO,
        "currency": "USD",
        "usage": {"amount": amount * 10**6, "unit": "count", "amount_in_pricing_units": amount},
        "credits": [{"name": "Promotion", "amount": -credited / _MICRO, "type": "PROMOTION"}] if credited else [],
        "invoice": {"month": at.strftime("%Y%m")},
        "cost_type": "regular",
        "transaction_type": "GOOGLE",
        "seller_name": "Google",
        "export_time": _text(exported + timedelta(minutes=34)),
        "price": {"effective_price": 1},
    }


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
