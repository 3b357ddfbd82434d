"""From records to alerts: what is wrong, where, by what evidence, and what to do about it."""

from tbgrad.diagnosis.alerts import SEVERITIES, Judgement, alerts_of, judge, newest, unwatched
from tbgrad.diagnosis.diagnosis import Diagnosis, diagnose, records
from tbgrad.diagnosis.record import SCALARS, Record
from tbgrad.diagnosis.rule import Moment, Rule
from tbgrad.diagnosis.rules import RULES
from tbgrad.diagnosis.settings import RULE_NAMES, AlertSettings, check_rule
from tbgrad.diagnosis.stability import STANDINGS, standing

__all__ = [
    "RULES",
    "RULE_NAMES",
    "SCALARS",
    "SEVERITIES",
    "STANDINGS",
    "AlertSettings",
    "Diagnosis",
    "Judgement",
    "Moment",
    "Record",
    "Rule",
    "alerts_of",
    "check_rule",
    "diagnose",
    "judge",
    "newest",
    "records",
    "standing",
    "unwatched",
]
