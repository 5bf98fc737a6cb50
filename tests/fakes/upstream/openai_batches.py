"""OpenAI's files and batches, as its API reference writes them: in memory, run when the script or the test says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tests.fakes.upstream.answers import CREATED, Answer, BadRequest, Ids, encode
from tests.fakes.upstream.bill import Bill, Line, cost_pico
from tests.fakes.upstream.errors import openai_error
from tests.fakes.upstream.script import Plan, Script

PATH: Final = re.compile(r".*/(files|batches)(?:/([A-Za-z0-9_-]+)(?:/(content|cancel))?)?")
_PART: Final = re.compile(rb"content-disposition: form-data; (?P<head>[^\r\n]*)", re.IGNORECASE)
_NAME: Final = re.compile(rb'(?<!file)name="([^"]*)"')
_FILENAME: Final = re.compile(rb'filename="([^"]*)"')


class Told(NamedTuple):
    status: int
    body: bytes


class Account:
    """The files and batches of an account. Used by the server's thread; `finish` by the test's."""

    def __init__(
        self, bill: Bill, ids: Callable[[], Ids], answers: Mapping[str, type[Answer]], plan: Callable[[str], Plan]
    ) -> None:
        """`answers` by the end of an endpoint; `plan` says how the next request for a model goes."""
        self._bill = bill
        self._ids = ids
        self._answers = answers
        self._plan = plan
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, int] = {}

    def answer(self, script: Script, method: str, path: str, query: Mapping[str, str], body: bytes) -> Told | None:
        """None for what is neither of files nor of batches."""
        asked = PATH.fullmatch(path)
        if asked is None:
            return None
        kind, name, wanted = asked.group(1), asked.group(2) or "", asked.group(3) or ""
        if not name:
            if kind == "files":
                return self._upload(body)
            return self._create(msgspec.json.decode(body)) if method == "POST" else self._list(query)
        known: Mapping[str, Any] = self.contents if kind == "files" else self.batches
        if name not in known:
            return _told(openai_error(404, f"No such {kind} object: {name}"), 404)
        if kind == "files":
            return self._file(method, name, wanted)
        if wanted == "cancel":
            self.finish(script, "cancelled", name)
        else:
            self._looks[name] = self._looks.get(name, 0) + 1
            if script.batch_looks is not None and self._looks[name] >= script.batch_looks:
                self.finish(script, "completed", name)
        return _told(self.batches[name])

    def finish(self, script: Script, status: str, batch_id: str) -> None:
        """Run it. One that is not completed has had half of its requests answered."""
        batch = self.batches[batch_id]
        if batch["status"] in ("completed", "failed", "expired", "cancelled"):
            return
        lines = [line for line in self.contents[batch["input_file_id"]].split(b"\n") if line.strip()]
        answered = len(lines) if status == "completed" else len(lines) // 2
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for place, raw in enumerate(lines):
            asked = msgspec.json.decode(raw)
            said = self._run(script, asked) if place < answered else None
            line = {"id": self._ids().of("batch_req_"), "custom_id": asked["custom_id"], "response": said}
            if said is None:
                errors.append({**line, "error": {"code": f"batch_{status}", "message": "It was not run."}})
            else:
                (results if said["status_code"] == 200 else errors).append({**line, "error": None})
        batch |= {"status": status, f"{status}_at": CREATED + 60}
        batch["request_counts"] = {"total": len(lines), "completed": len(results), "failed": len(errors)}
        for name, written in (("output_file_id", results), ("error_file_id", errors)):
            if written:
                content = b"".join(encode(line) + b"\n" for line in written)
                batch[name] = self._keep("batch_output", f"{name}.jsonl", content)["id"]

    def _run(self, script: Script, asked: dict[str, Any]) -> dict[str, Any]:
        ids, body = self._ids(), asked["body"]
        plan = self._plan(str(body.get("model")))
        kind = next(kind for end, kind in self._answers.items() if asked["url"].endswith(end))
        try:
            if plan.status != 200:
                error = openai_error(plan.status, plan.message, code=plan.code)
                return {"status_code": plan.status, "request_id": ids.request, "body": error}
            answer = kind(body, plan, ids)
        except BadRequest as error:
            refused = openai_error(400, error.message, param=error.param)
            return {"status_code": 400, "request_id": ids.request, "body": refused}
        meters = answer.meters()
        self._bill.add(
            Line(
                number=ids.number,
                request_id=ids.request,
                answer_id=answer.id,
                path=asked["url"],
                model=answer.model,
                stream=False,
                meters=meters,
                pico=cost_pico(script.batch_prices.get(answer.model), meters),
            )
        )
        return {"status_code": 200, "request_id": ids.request, "body": answer.whole()}

    def _upload(self, body: bytes) -> Told:
        boundary, fields, name = body.partition(b"\r\n")[0], {}, ""
        for part in body.split(boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            said = _PART.search(head)
            field = _NAME.search(said["head"]) if said else None
            if said is None or field is None:
                return _told(openai_error(400, "The form cannot be read."), 400)
            fields[field.group(1).decode()] = content.removesuffix(b"\r\n")
            if filename := _FILENAME.search(said["head"]):
                name = filename.group(1).decode()
        if not name or "purpose" not in fields or "file" not in fields:
            return _told(openai_error(400, "file and purpose are required."), 400)
        return _told(self._keep(fields["purpose"].decode(), name, fields["file"]))

    def _keep(self, purpose: str, name: str, content: bytes) -> dict[str, Any]:
        file_id = self._ids().of("file-")
        told = {"id": file_id, "object": "file", "bytes": len(content), "created_at": CREATED, "filename": name}
        self.files[file_id] = {**told, "purpose": purpose, "status": "processed", "expires_at": None}
        self.contents[file_id] = content
        return self.files[file_id]

    def _file(self, method: str, name: str, wanted: str) -> Told:
        if wanted:
            return Told(200, self.contents[name])
        if method != "DELETE":
            return _told(self.files[name])
        del self.files[name], self.contents[name]
        return _told({"id": name, "object": "file", "deleted": True})

    def _create(self, body: dict[str, Any]) -> Told:
        if body.get("input_file_id") not in self.files:
            return _told(openai_error(400, "Invalid input_file_id.", param="input_file_id"), 400)
        batch_id = self._ids().of("batch_")
        ends = dict.fromkeys(
            f"{what}_at" for what in ("completed", "failed", "expired", "cancelling", "cancelled", "finalizing")
        )
        self.batches[batch_id] = {
            "id": batch_id,
            "object": "batch",
            "endpoint": body["endpoint"],
            "errors": None,
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "in_progress",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": CREATED,
            "in_progress_at": CREATED + 1,
            "expires_at": CREATED + 86_400,
            **ends,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
        }
        return _told(self.batches[batch_id])

    def _list(self, query: Mapping[str, str]) -> Told:
        ids = list(self.batches)[::-1]
        since = ids.index(query["after"]) + 1 if "after" in query else 0
        most = int(query.get("limit", 20))
        shown = ids[since : since + most]
        data = [self.batches[one] for one in shown]
        first, last = (shown[0], shown[-1]) if shown else (None, None)
        more = len(ids) > since + most
        return _told({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more})


def _told(value: Any, status: int = 200) -> Told:
    return Told(status, encode(value))
