"""Bring in the traces that exist already, from the formats that agents and benchmarks write; and take them out."""

from tacit.experience.importers.export import line_of, record_of
from tacit.experience.importers.port import (
    FORMATS,
    Fit,
    Format,
    Imported,
    ImportedMemory,
    Importer,
    ImportOptions,
    Rejected,
)
from tacit.experience.importers.registry import IMPORTERS, importer_for

__all__ = [
    "FORMATS",
    "IMPORTERS",
    "Fit",
    "Format",
    "ImportOptions",
    "Imported",
    "ImportedMemory",
    "Importer",
    "Rejected",
    "importer_for",
    "line_of",
    "record_of",
]
