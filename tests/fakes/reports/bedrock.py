"""An account at AWS: a bucket with Bedrock's invocation log, and one with its bill. S3 itself is Moto's.

Before Moto stands a server that says what Moto cannot: that a key is not good (its signature is worked out again, as
AWS does), that it is asked too often, and that there is more than two things in a page.
"""

from __future__ import annotations

import atexit
import csv
import gzip
import io
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from http.client import HTTPConnection
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import urlencode

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth
from tests.fakes.reports.shared import DAY, HOUR, added, midnight

KEY: Final = "AKIAIOSFODNN7EXAMPLE"
PROMPT: Final = "the merger is on Friday"
LOGS, BILL = "acme-bedrock-logs", "acme-bill"
ROOT: Final = "ai/AWSLogs"
PLACES: Final = (("123456789012", "us-east-1"), ("210987654321", "eu-central-1"))
EXPORT: Final = "cur/acme-daily"
_EVERY: Final = 12 * HOUR
_PICO: Final = 10**12
_REFUSED: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%b</Code><Message>No.</Message>'
    b"<AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>"
)
# Of a line of the bill: its usage type, how many thousand tokens, millionths of a dollar, and the meter they are.
_LINES: Final = (
    ("USE1-Claude4.6Sonnet-input-tokens", 23, 69_000, "input_uncached"),
    ("USE1-Claude4.6Sonnet-output-tokens", 4, 60_000, "output_text"),
    ("USE1-Claude4.6Sonnet-cache-read-input-token-count", 120, 36_000, "cache_read"),
    ("USE1-Guardrail-ContentPolicyUnitsConsumed", 7, 1_050, ""),
)


@cache
def moto() -> str:
    """Where it is: one for all fakes of a process, of which one is there at a time, as it takes long to end."""
    # It tells of each request.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    return "{}:{}".format(*server.get_host_and_port())


class Call(NamedTuple):
    number: int
    at: datetime
    account: str
    region: str

    @property
    def uncached(self) -> int:
        return 1_000 + self.number

    @property
    def read(self) -> int:
        return 500 if self.number % 2 else 0

    @property
    def written(self) -> int:
        return 200 if self.number % 3 == 0 else 0

    @property
    def output(self) -> int:
        return 100 + self.number


class BedrockReports(Reporting):
    """Twice a day, in each account, two files of the log with three calls and one that failed; four kinds of
    charges a day, in two files of the bill. A delivery of the bill lies beside the one before.
    """

    account: ClassVar[str] = "bedrock"
    owing: ClassVar[tuple[str, ...]] = ("aws-cur",)
    settings: ClassVar[Mapping[str, str]] = {
        "region": "us-east-1",
        "bucket": LOGS,
        "prefix": "ai",
        "report_bucket": BILL,
        "report_path": EXPORT,
    }

    def make(self) -> None:
        self.until = midnight(self.until)
        self.more = 0
        self.deliveries = 0
        self._behind = moto()
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=f"http://{self._behind}",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        # It has what the one before made.
        self._ask("POST", "/moto-api/reset", {})
        for name in (LOGS, BILL):
            self.s3.create_bucket(Bucket=name)
        self.calls = self._calls()
        self._log()
        self._deliver()

    def close(self) -> None:
        super().close()
        self.s3.close()

    @property
    def credential(self) -> str:
        return f"{KEY}:{self._secret}"

    @credential.setter
    def credential(self, secret: str) -> None:
        self._secret = secret

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if self.is_revoked:
            return 403, _REFUSED % b"InvalidAccessKeyId"
        if not self.is_let_in(asked):
            return 403, _REFUSED % b"SignatureDoesNotMatch"
        return self.page(asked)

    def is_let_in(self, asked: Asked) -> bool:
        """Works out the signature again, of what stands in the question."""
        scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
        said = dict(part.split("=", 1) for part in rest.split(", ") if "=" in part)
        key, _, scope = said.get("Credential", "").partition("/")
        if scheme != "AWS4-HMAC-SHA256" or key != KEY or scope.split("/")[1:] != ["us-east-1", "s3", "aws4_request"]:
            return False
        signed = {name: asked.headers[name] for name in said["SignedHeaders"].split(";")}
        request = AWSRequest(asked.method, self.address + asked.path, headers=signed, params=dict(asked.pairs))
        request.context["timestamp"] = asked.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials(KEY, self._secret), "s3", "us-east-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return bool(signer.signature(text, request) == said["Signature"])

    def page(self, asked: Asked) -> tuple[int, Any]:
        """Of Moto; two things in a page at most."""
        pairs = dict(asked.pairs)
        if asked.method != "GET":
            return 405, _REFUSED % b"MethodNotAllowed"
        if pairs.get("list-type") == "2":
            pairs["max-keys"] = str(min(int(pairs.get("max-keys", "2")), 2))
        wanted: dict[str, str] = {
            name: asked.headers[name] for name in ("if-match", "authorization") if name in asked.headers
        }
        return self._ask("GET", f"{asked.path}?{urlencode(pairs)}", wanted)

    def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection = HTTPConnection(self._behind, timeout=20)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _calls(self) -> list[Call]:
        at, found = self.until - self.days * DAY, list[Call]()
        while at < self.until:
            for account, region in PLACES:
                moments = (at + timedelta(minutes=7 * each, seconds=1) for each in range(6))
                found += [Call(len(found) + each, moment, account, region) for each, moment in enumerate(moments)]
            at += _EVERY
        return found

    def _log(self) -> None:
        for account, _region in PLACES:
            self._put(f"{ROOT}/{account}/BedrockModelInvocationLogs/amazon-bedrock-logs-permission-check", b"")
        by_hour: dict[str, list[Call]] = {}
        for call in self.calls:
            by_hour.setdefault(folder(call), []).append(call)
        for place, calls in by_hour.items():
            for number in range(2):
                self._write(f"{place}20261120T{number}.json.gz", calls[number::2])
            self._put(f"{place}data/{calls[0].number}_input.json.gz", gzip.compress(PROMPT.encode()))

    def _write(self, key: str, calls: list[Call]) -> None:
        """In several pieces, each packed by itself, as logs are."""
        lines = [json.dumps(self._line(call)).encode() + b"\n" for call in calls]
        failed = {**self._line(calls[0]), "requestId": f"failed-{key[-9:]}", "errorCode": "ThrottlingException"}
        failed |= {"input": {"inputBodyJson": {"prompt": PROMPT}}, "output": {}}
        self._put(key, b"".join(gzip.compress(line) for line in (*lines, json.dumps(failed).encode() + b"\n")))

    def _put(self, key: str, body: bytes, *, bucket: str = LOGS) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _line(self, call: Call) -> dict[str, Any]:
        """As Converse says it, and as Claude does; some with counts in the answer only."""
        said: dict[str, Any] = {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "timestamp": call.at.isoformat().replace("+00:00", "Z"),
            "accountId": call.account,
            "identity": {"arn": f"arn:aws:sts::{call.account}:assumed-role/app-role/ann@acme.example"},
            "region": call.region,
            "requestId": f"11111111-2222-4333-8444-{call.number:012d}",
            "operation": "Converse",
            "modelId": "us.anthropic.claude-sonnet-4-6",
            "requestMetadata": {"team": "search"},
        }
        if call.number % 2:
            usage = {
                "inputTokens": call.uncached,
                "cacheReadInputTokens": call.read,
                "cacheWriteInputTokens": call.written,
                "outputTokens": call.output,
                "totalTokens": call.uncached + call.read + call.written + call.output,
            }
            message = {"role": "assistant", "content": [{"text": PROMPT}]}
            answer = {"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 900}}
            answer |= {"usage": usage}
            return said | {"input": {"inputBodyJson": {"p": PROMPT}}, "output": {"outputBodyJson": answer}}
        given = {"inputBodyJson": {"messages": [PROMPT]}, "inputTokenCount": call.uncached}
        given |= {"cacheReadInputTokenCount": call.read, "cacheWriteInputTokenCount": call.written}
        return said | {"input": given, "output": {"outputTokenCount": call.output}}

    def lines(self) -> list[tuple[dict[str, Any], int, str]]:
        """Of the bill: what stands there, its millionths of a dollar, and its meter. One stands there twice."""
        found: list[tuple[dict[str, Any], int, str]] = []
        for number in range(self.days):
            day = self.until - (self.days - number) * DAY
            for kind, amount, micro, meter in _LINES:
                cost = micro + number + (self.more if number == self.days - 1 and meter == "output_text" else 0)
                found.append((_charged(day, kind, amount, cost), cost, meter))
        return [*found, found[0]]

    def _deliver(self) -> None:
        """The bill of each month, whole; and one that is not written to its end."""
        self.deliveries += 1
        months: dict[str, list[dict[str, Any]]] = {}
        for row, _, _ in self.lines():
            months.setdefault(row["line_item_usage_start_date"][:7], []).append(row)
        for month, rows in months.items():
            period = f"BILLING_PERIOD={month}"
            name = f"{EXPORT}/data/{period}/{self.deliveries:03d}"
            half = len(rows) // 2
            for number, part in enumerate((rows[:half], rows[half:]), 1):
                self._put(f"{name}/acme-daily-{number:05d}.csv.gz", gzip.compress(table(part)), bucket=BILL)
            manifest = f"{EXPORT}/metadata/{period}/{self.deliveries:03d}/acme-daily-Manifest.json"
            self._put(manifest, b"{}", bucket=BILL)
            begun = f"{EXPORT}/data/{period}/{self.deliveries:03d}-begun/acme-daily-00001.csv.gz"
            self._put(begun, gzip.compress(table(rows[:1])), bucket=BILL)

    def truth(self, feed: str) -> Truth:
        if feed == "aws-cur":
            return added(
                ({meter: int(row["line_item_usage_amount"]) * 1_000} if meter else {}, {"USD": micro * _PICO // 10**6})
                for row, micro, meter in self.lines()
            )
        return added(
            (
                {
                    "input_uncached": call.uncached,
                    "cache_read": call.read,
                    "cache_write_5m": call.written,
                    "output_text": call.output,
                    "requests": 1,
                },
                {},
            )
            for call in self.calls
        )

    def revise(self) -> None:
        """The bill is delivered anew. A line of the log is never written otherwise."""
        self.more += 5
        self._deliver()


def folder(call: Call) -> str:
    return f"{ROOT}/{call.account}/BedrockModelInvocationLogs/{call.region}/{call.at:%Y/%m/%d/%H}/"


def _charged(day: datetime, kind: str, amount: int, micro: int) -> dict[str, Any]:
    return {
        "identity_line_item_id": "changes-with-each-delivery",
        "bill_billing_period_start_date": day.replace(day=1).isoformat(),
        "line_item_line_item_type": "Usage",
        "line_item_usage_account_id": PLACES[0][0],
        "line_item_usage_start_date": day.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": kind,
        "line_item_operation": "InvokeModelInference",
        "line_item_usage_amount": str(amount),
        "line_item_unblended_cost": f"{micro // 10**6}.{micro % 10**6:06d}0000",
        "line_item_currency_code": "USD",
        "line_item_line_item_description": "charges,\nover two lines",
        "pricing_unit": "1K tokens",
        "product_region_code": "us-east-1",
        "resource_tags": '{"user_team": "search"}',
    }


def table(rows: list[dict[str, Any]]) -> bytes:
    """With a line of another service, which is nobody's business here."""
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    other = {"line_item_product_code": "AmazonS3", "line_item_usage_type": "USE1-TimedStorage-ByteHrs"}
    writer.writerows([*rows, rows[0] | other])
    return made.getvalue().encode()
