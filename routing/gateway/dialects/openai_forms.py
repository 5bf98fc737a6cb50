"""OpenAI's calls that come as forms, with files in them."""

from __future__ import annotations

from typing import Final

import msgspec

from routing.gateway.dialects import multipart
from routing.gateway.dialects.inputs import Inputs
from routing.gateway.dialects.types import ModelCall
from routing.gateway.requests import FieldInvalid

# Under this name a form's body is kept as it came.
FORM: Final = ""


def form_call(name: str, body: bytes, *also: str) -> ModelCall:
    """A call whose body is a form with files, of kinds `also` beside text. Nothing bounds what those cost. Raises
    Malformed and FieldInvalid.
    """
    form = multipart.read(body)
    inputs = Inputs()
    inputs.inline = form.files
    inputs.runs(name, None)
    return ModelCall(
        dialect=name,
        model=_model(form, body),
        body={FORM: msgspec.Raw(body)},
        input=inputs.bounds(len(body), messages=1, tools=0),
        stream=form.text(body, "stream").lower() == "true",
        hosted_tools=tuple(inputs.hosted),
        service_tier="",
        modalities=frozenset({"text", *also}),
    )


def _model(form: multipart.Form, body: bytes) -> str:
    model = form.text(body, "model")
    if not 0 < len(model) <= 300 or not model.isprintable():
        raise FieldInvalid("model is required, and at most 300 characters", field="model")
    return model


def form_written(call: ModelCall, model: str) -> bytes:
    """The form as it came, but for the model's name where it is another."""
    body = bytes(call.body[FORM])
    if model == call.model:
        return body
    if not model.isprintable():
        raise FieldInvalid("model cannot be said in a form", field="model")
    part = multipart.read(body).texts["model"]
    return body[: part.start] + model.encode() + body[part.end :]
