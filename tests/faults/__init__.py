"""Faults made on purpose: power cuts, full disks, broken disks and killed processes, for the crash tests."""
