"""Recall: what was remembered is found again, by its meaning and by its words."""
