"""Capstan's refusal, as the client of the proxy sees it."""

from __future__ import annotations

from typing import Any

from capstan_litellm.answers import Answer


def detail_of(answer: Answer, settings_url: str) -> dict[str, Any]:
    """`error` is for people; LiteLLM hands the rest on under `provider_specific_fields`."""
    body = answer.body
    budgets = [one for one in body.get("budgets") or () if isinstance(one, dict)]
    ask = str(body.get("ask") or "")
    url = f"{settings_url}{ask}" if ask.startswith("/") else ask
    detail: dict[str, Any] = {
        "error": _sentence(answer, budgets, ask, url),
        "type": "capstan_refused",
        "code": answer.code or "budgets.refused",
        "budgets": budgets,
    }
    if budgets:
        detail |= {name: budgets[0].get(name) for name in ("budget", "subject", "limit", "spent", "held", "resets_at")}
    if url:
        detail["ask"] = url
    if isinstance(body.get("field"), str):
        detail["field"] = body["field"]
    if answer.retry_after:
        detail["retry_after"] = answer.retry_after
    return detail


def _sentence(answer: Answer, budgets: list[dict[str, Any]], ask: str, url: str) -> str:
    """Capstan's own words, where they name the budget; with the numbers and the way on where they do not."""
    said = str(answer.body.get("detail") or answer.body.get("title") or "Capstan refused the call").strip()
    parts = [said.rstrip(".") + "."]
    for one in budgets[:3]:
        if str(one.get("budget")) in said and "spent" in said:
            continue
        subject = f" ({one['subject']})" if one.get("subject") else ""
        reset = f", resets at {one['resets_at']}" if one.get("resets_at") else ""
        parts.append(
            f"Budget {one.get('budget')!s}{subject}: limit {one.get('limit')}, spent {one.get('spent')},"
            f" held {one.get('held')}{reset}."
        )
    if ask and ask in said:
        parts[0] = parts[0].replace(ask, url, 1)
    elif url:
        parts.append(f"To ask for more: POST {url}.")
    return " ".join(parts)
