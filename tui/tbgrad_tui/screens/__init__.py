"""Screens, named as the views of the tab, and pages of text over them."""
