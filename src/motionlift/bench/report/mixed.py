"""What a reader must be told of records that stand side by side: of which code they are, and on what they were measured."""

from collections import Counter
from collections.abc import Mapping, Sequence

from motionlift.bench.records import CODE
from motionlift.bench.report.summary import Section

UNKNOWN = "unknown"
"""In the place of what a record does not say."""


def mixtures(found: Sequence[Section]) -> list[str]:
    """A sentence for several states of the code, or an unknown one, and one for each section whose means mix devices."""
    told = []
    codes = Counter(_said(each.record, CODE) for section in found for each in section.measurements if not each.error)
    if codes and (len(codes) > 1 or UNKNOWN in codes):
        told.append(f"cells of several states of the code, or of an unknown one, stand side by side: {_counted(codes)}")
    for section in found:
        devices = Counter(_said(each.record, "device") for each in section.measurements if not each.error)
        if len(devices) > 1:
            told.append(f"means of {section.model} on {section.source} mix devices: {_counted(devices)}")
    return told


def _said(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else UNKNOWN


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
