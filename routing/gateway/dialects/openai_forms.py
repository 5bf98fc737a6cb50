"""OpenAI's calls that come as forms, with files in them."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from routing.gateway.dialects import multipart
from routing.gateway.dialects.inputs import OPENAI_IMAGE, Inputs
from routing.gateway.dialects.types import ModelCall
from routing.gateway.requests import FieldInvalid

# Under this name a form's body is kept as it came.
FORM: Final = ""
_DECIDE: Final = frozenset({"model", "stream", "n"})
_STEM: Final = re.compile(r"[^a-z_]")
# As files mostly come: 128 kbit/s, ten tokens a second.
_SOUND_OF_TOKEN: Final = 1_600


def form_call(name: str, body: bytes, kind: str) -> ModelCall:
    """A call whose body is a form with files of a kind: audio or image. Nothing bounds what those cost; what is said of
    them is about what they are. Raises Malformed and FieldInvalid.
    """
    form = multipart.read(body)
    _refuse_lookalikes(form)
    inputs = Inputs()
    inputs.inline = form.files
    if kind == "audio":
        inputs.audio_tokens = form.files // _SOUND_OF_TOKEN + 1
    else:
        inputs.image_tokens = OPENAI_IMAGE
    inputs.runs(name, None)
    return ModelCall(
        dialect=name,
        model=_model(form, body),
        body={FORM: msgspec.Raw(body)},
        form=form,
        input=inputs.bounds(len(body), messages=1, tools=0),
        stream=form.text(body, "stream").lower() == "true",
        hosted_tools=tuple(inputs.hosted),
        service_tier="",
        modalities=frozenset({"text", kind}),
    )


def _refuse_lookalikes(form: multipart.Form) -> None:
    """What decides what a call is has one name, and is no file: some servers heed `Model`, `model[]` or a file."""
    for name in (*form.texts, *form.named_files):
        said = _STEM.split(name.lower())[0]
        if said in _DECIDE and (name != said or name in form.named_files):
            raise FieldInvalid(f"{name}: this is spelt {said}, and is a text", field=name)


def _model(form: multipart.Form, body: bytes) -> str:
    model = form.text(body, "model")
    if not 0 < len(model) <= 300 or not model.isprintable():
        raise FieldInvalid("model is required, and at most 300 characters", field="model")
    return model


def form_written(call: ModelCall, model: str) -> bytes:
    """The form as it came, but for the model's name where it is another."""
    body = bytes(call.body[FORM])
    if model == call.model or call.form is None:
        return body
    if not model.isprintable():
        raise FieldInvalid("model cannot be said in a form", field="model")
    part = call.form.texts["model"]
    return body[: part.start] + model.encode() + body[part.end :]
