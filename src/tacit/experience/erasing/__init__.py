"""Erasing: what is to go, by what it is recognised when it comes again, and the receipt."""
