"""Advice for a situation, put together from what was learned, each part with its reason and its evidence."""
