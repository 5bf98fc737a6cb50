"""Energy and CO2e of writing tokens, by the method of EcoLogits. Pure.

EcoLogits models one request bottom-up, after the life-cycle method of ISO 14044: the electricity of the accelerators
that write its tokens, of the rest of their servers and of the data centre around them (usage), and a share of making
those machines (embodied). It is published at https://ecologits.ai/latest/methodology/llm_inference/, with its code
(MPL-2.0) and DOI 10.5281/zenodo.15601289; constants and equations below are those of release 0.11.3,
`ecologits/impacts/llm.py`, in watt-hours and grams. `tests/unit/energy` holds figures of that release against these.

Two regressions on measurements of an H100 (ML.ENERGY, vLLM, batches of 64) are the heart of it: energy of a GPU for a
token, by the parameters that are active; and the time that a token takes, where nobody measured the model's speed. What
reading a prompt takes is not in the method: only tokens that are written count. A request's seconds are a straight line
in its tokens, so that sums over requests follow from their number and their tokens: no call needs figures of its own.
"""

from __future__ import annotations

from math import ceil, exp, log2
from typing import Final, NamedTuple

from finops.energy.types import Architecture, Range

# Requests that a server works on at once, and bits of a weight.
BATCH: Final = 64
WEIGHT_BITS: Final = 16
# Wh of one GPU for a token: alpha * exp(beta * batch) * active parameters (billions) + gamma.
GPU_ALPHA: Final = 1.1665273170451914e-06
GPU_BETA: Final = -0.011205921025579175
GPU_GAMMA: Final = 4.052928146734005e-05
# Seconds for a token: alpha * active parameters (billions) + beta * batch + gamma.
TIME_ALPHA: Final = 0.0006785088094353663
TIME_BETA: Final = 0.0003119310311688259
TIME_GAMMA: Final = 0.019473717579473387
# Memory in GB; weights need a fifth more than their size.
GPU_MEMORY_GB: Final = 80
WEIGHTS_AND_MORE: Final = 1.2
# A server of eight GPUs draws so much without them, in watts.
SERVER_GPUS: Final = 8
SERVER_W: Final = 1_200.0
# Making them, in grams of CO2e; they last three years.
SERVER_MADE_G: Final = 5_700_000.0
GPU_MADE_G: Final = 273_000.0
LASTS_S: Final = 3 * 365 * 24 * 60 * 60


class Spent(NamedTuple):
    """Of one token that is written and of one request beside its tokens: watt-hours at the plug of the machines, and
    grams of CO2e of making them.
    """

    token_wh: Range
    call_wh: Range
    token_hardware_g: Range
    call_hardware_g: Range


def spent(model: Architecture) -> Spent:
    """Between what the smallest and the largest that it may be would use."""
    least, most = _one(model, model.active.lower, model.total.lower), _one(model, model.active.upper, model.total.upper)
    return Spent(*(Range(low, high) for low, high in zip(least, most, strict=True)))


def gpus(total: float) -> int:
    """How many GPUs hold the weights of a model of so many billions of parameters; a power of two."""
    needed = ceil(WEIGHTS_AND_MORE * total * WEIGHT_BITS / 8 / GPU_MEMORY_GB)
    return int(2 ** ceil(log2(needed)))


def _one(model: Architecture, active: float, total: float) -> tuple[float, float, float, float]:
    number = gpus(total)
    gpu_wh = GPU_ALPHA * exp(GPU_BETA * BATCH) * active + GPU_GAMMA
    if model.tokens_per_s is not None:
        token_s = 1 / model.tokens_per_s
    else:
        token_s = TIME_ALPHA * active + TIME_BETA * BATCH + TIME_GAMMA
    first_s = model.first_token_s or 0.0
    # For each second that a request is worked on, its share of the server and of what was made.
    server_wh = SERVER_W / 3600 * number / SERVER_GPUS / BATCH
    made_g = (SERVER_MADE_G * number / SERVER_GPUS + GPU_MADE_G * number) / (LASTS_S * BATCH)
    return token_s * server_wh + number * gpu_wh, first_s * server_wh, token_s * made_g, first_s * made_g
