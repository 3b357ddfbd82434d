"""From records to alerts: what is wrong, where, by what evidence, and what to do about it."""

from tbgrad.diagnosis.diagnosis import Diagnosis, diagnose, records
from tbgrad.diagnosis.rules import RULES, Record, Rule, Thresholds

__all__ = ["RULES", "Diagnosis", "Record", "Rule", "Thresholds", "diagnose", "records"]
