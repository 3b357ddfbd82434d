"""From records to alerts: what is wrong, where, by what evidence, and what to do about it."""

from tbgrad.diagnosis.alerts import SEVERITIES, alerts_of, newest
from tbgrad.diagnosis.diagnosis import Diagnosis, diagnose, records
from tbgrad.diagnosis.rules import RULES, Record, Rule, Thresholds

__all__ = [
    "RULES",
    "SEVERITIES",
    "Diagnosis",
    "Record",
    "Rule",
    "Thresholds",
    "alerts_of",
    "diagnose",
    "newest",
    "records",
]
