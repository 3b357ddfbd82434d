"""From records to alerts: what is wrong, where, by what evidence, and what to do about it.

`replay` takes a log through the rules; nothing else here knows of readers.
"""

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
