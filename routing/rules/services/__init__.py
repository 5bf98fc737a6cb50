"""Rules written, brought into force step by step, and switched off; audited. Gateways hear of it within a second."""

from __future__ import annotations

from routing.rules.services.concentrating import follow_concentration
from routing.rules.services.documents import Imported, export_document, export_litellm, import_document
from routing.rules.services.keeping import KEPT, forget_decisions
from routing.rules.services.rollouts import advance, pause, roll_back, start_rollout, switch_off, switch_on
from routing.rules.services.writing import (
    ProposalDecided,
    RuleNameTaken,
    RuleRetired,
    Saved,
    TooManyRules,
    create_rule,
    decide_proposal,
    propose_version,
    reorder,
    retire,
    save_rule,
)

__all__ = [
    "KEPT",
    "Imported",
    "ProposalDecided",
    "RuleNameTaken",
    "RuleRetired",
    "Saved",
    "TooManyRules",
    "advance",
    "create_rule",
    "decide_proposal",
    "export_document",
    "export_litellm",
    "follow_concentration",
    "forget_decisions",
    "import_document",
    "pause",
    "propose_version",
    "reorder",
    "retire",
    "roll_back",
    "save_rule",
    "start_rollout",
    "switch_off",
    "switch_on",
]
