"""The chance of success, before the first step and after each."""
