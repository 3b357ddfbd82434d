"""Screens: the dashboard, and pages of text over it."""
