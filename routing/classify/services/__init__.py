"""Takes labels, learns from them, and watches how that does since; keeps features of calls that pass. Audited."""

from __future__ import annotations

from routing.classify.services.labelling import Taken, label_calls
from routing.classify.services.sampling import change_sampling, forget_sampled, take_sampled
from routing.classify.services.training import TRAINED, open_training, open_trainings, run_training, train
from routing.classify.services.watching import DRIFTING, forget_confused

__all__ = [
    "DRIFTING",
    "TRAINED",
    "Taken",
    "change_sampling",
    "forget_confused",
    "forget_sampled",
    "label_calls",
    "open_training",
    "open_trainings",
    "run_training",
    "take_sampled",
    "train",
]
