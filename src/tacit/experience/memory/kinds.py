"""The kinds of events that tell a memory. The event that remembered it gives it its id; those that follow carry that
id as their causation."""

from __future__ import annotations

MEMORY_REMEMBERED = "memory.remembered"
"""``{"memory": Said}``."""
MEMORY_CORRECTED = "memory.corrected"
"""``{"memory": Said}``: what is remembered instead from now on."""
MEMORY_FORGOTTEN = "memory.forgotten"
"""``{"why"}``: it is no longer among what is remembered, but not erased."""
