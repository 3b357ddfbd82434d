"""From records to alerts: what is wrong, where, by what evidence, and what to do about it.

It knows no reader: `tbgrad.judgement` takes a read run through the rules. The names load on first
use: who shows what a log says needs no rules for that.
"""

from typing import TYPE_CHECKING

from tbgrad.lazy import lazy

if TYPE_CHECKING:
    from tbgrad.diagnosis.engine import Diagnosis
    from tbgrad.diagnosis.record import RULE_SCALARS, Record
    from tbgrad.diagnosis.rule import Advice, Moment, Rule
    from tbgrad.diagnosis.rules import RULE_NAMES, RULES, SHOWS
    from tbgrad.diagnosis.settings import AlertSettings, check_rule
    from tbgrad.diagnosis.stability import STANDINGS, standing

__all__ = [
    "RULES",
    "RULE_NAMES",
    "RULE_SCALARS",
    "SHOWS",
    "STANDINGS",
    "Advice",
    "AlertSettings",
    "Diagnosis",
    "Moment",
    "Record",
    "Rule",
    "check_rule",
    "standing",
]

_MODULES = {
    "Advice": "tbgrad.diagnosis.rule",
    "AlertSettings": "tbgrad.diagnosis.settings",
    "Diagnosis": "tbgrad.diagnosis.engine",
    "Moment": "tbgrad.diagnosis.rule",
    "RULES": "tbgrad.diagnosis.rules",
    "RULE_NAMES": "tbgrad.diagnosis.rules",
    "RULE_SCALARS": "tbgrad.diagnosis.record",
    "Record": "tbgrad.diagnosis.record",
    "Rule": "tbgrad.diagnosis.rule",
    "SHOWS": "tbgrad.diagnosis.rules",
    "STANDINGS": "tbgrad.diagnosis.stability",
    "check_rule": "tbgrad.diagnosis.settings",
    "standing": "tbgrad.diagnosis.stability",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy("tbgrad.diagnosis", _MODULES, globals())
