"""Learned weights as they are published: compact, and read without Django or numpy."""

from __future__ import annotations

import msgspec


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """One row for each bucket that says something, in ascending order of buckets; all little-endian.

    `buckets` are unsigned of 16 bits, of words below `words.BUCKETS` and of marks from there on. `rarities` are floats
    of 32 bits: what a bucket's presence counts. `sizes` say in a byte how many weights each row has; `outputs`, a byte
    each, and `weights`, floats of 16 bits, are those of all rows one after the other. `biases` has one for each output.
    """

    buckets: bytes
    rarities: bytes
    sizes: bytes
    outputs: bytes
    weights: bytes
    biases: tuple[float, ...]


class Classifier(msgspec.Struct, frozen=True, kw_only=True):
    """The type of output i is `types[i]`. A guess less sure than `threshold`, or of a text of whose words a smaller
    share than `least_known` was ever seen, is none.
    """

    version: int
    types: tuple[str, ...]
    weights: Weights
    threshold: float
    least_known: float


class Prospects(msgspec.Struct, frozen=True, kw_only=True):
    """How likely each of `models` does a call well: an output each, and what it stands for. A curve has ascending
    scores with their chances; between two of them it is straight, beyond it stays. `light` is the model that
    difficulty is told by.
    """

    version: int
    models: tuple[str, ...]
    light: str
    weights: Weights
    curves: tuple[tuple[tuple[float, float], ...], ...]


_encode = msgspec.msgpack.Encoder().encode
_decode_classifier = msgspec.msgpack.Decoder(Classifier).decode
_decode_prospects = msgspec.msgpack.Decoder(Prospects).decode


def encode(value: Classifier | Prospects) -> bytes:
    return _encode(value)


def renamed(value: Classifier, *, version: int) -> Classifier:
    return msgspec.structs.replace(value, version=version)


def numbered(value: Prospects, *, version: int) -> Prospects:
    return msgspec.structs.replace(value, version=version)


def decode_classifier(body: bytes) -> Classifier:
    return _decode_classifier(body)


def decode_prospects(body: bytes) -> Prospects:
    return _decode_prospects(body)
