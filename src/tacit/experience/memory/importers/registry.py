"""The formats in which memories come in."""

from __future__ import annotations

from tacit.experience.importers.registry import Registry
from tacit.experience.memory.importers.chats import Chats
from tacit.experience.memory.importers.lines import MemoryLines
from tacit.experience.memory.importers.locomo import Locomo
from tacit.experience.memory.importers.port import MemoryImporter

MEMORY_IMPORTERS: tuple[MemoryImporter, ...] = (MemoryLines(), Locomo(), Chats())
"""In the order in which they are asked whether they recognise a file: the most particular first."""

memory_importer_for = Registry(MEMORY_IMPORTERS).importer_for
