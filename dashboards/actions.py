"""What every page that changes something does: one service call, an answer in words, and where to go next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dashboards.access import Here, show
from dashboards.forms import ActionForm
from finops.core.errors import FinopsError, Forbidden, NotFound


def act(request: HttpRequest, call: Callable[[], Any], *, done: str | Callable[[Any], str], to: str) -> HttpResponse:
    """A button: calls, says what came of it, and goes on. What is not there or not allowed keeps its own status."""
    try:
        found = call()
    except (NotFound, Forbidden):
        raise
    except FinopsError as error:
        messages.error(request, error.message[:1].upper() + error.message[1:])
    else:
        messages.success(request, done if isinstance(done, str) else done(found))
    return redirect(to)


def form_page(
    request: HttpRequest,
    here: Here,
    key: str,
    form: ActionForm,
    save: Callable[[dict[str, Any]], Any],
    *,
    title: str,
    submit: str,
    back: tuple[str, str],
    done: str | Callable[[], str],
    lead: str = "",
    danger: bool = False,
) -> HttpResponse:
    """A form on a page of its own: shown, refused with its errors (422), or saved and left."""
    if form.is_bound and form.is_valid():
        try:
            save(form.cleaned_data)
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
        else:
            messages.success(request, done if isinstance(done, str) else done())
            return redirect(back[1])
    context = {"form": form, "title": title, "lead": lead, "submit": submit, "back": back, "danger": danger}
    return show(request, here, key, "pages/form.html", context, status=422 if form.is_bound else 200)


def posted(request: HttpRequest) -> Any:
    """What a form is bound to: the body of a POST, nothing otherwise."""
    return request.POST if request.method == "POST" else None
