"""What a reader must be told of records that stand side by side: of which code they are, and on what and how they were measured."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from motionlift.bench.completing import MEASURED_BY, OF_FILES
from motionlift.bench.frozen import FROZEN
from motionlift.bench.records import CODE
from motionlift.bench.report.summary import Section

BY_A_MEASURE = ("motion_", "clip_")
"""What names of figures begin with that a tracker or a CLIP model measures."""
MEASURES = "measures"
"""Key of a record under which stands what was done so that its video fits (:class:`motionlift.core.memory.Measures`)."""
UNKNOWN = "unknown"
"""In the place of what a record does not say."""


def mixtures(found: Sequence[Section]) -> list[str]:
    """Sentences on the code where it is not one known state, on means that mix devices, and on figures measured of files."""
    done = [each for section in found for each in section.measurements if not each.error]
    told = mixed_code((f"{each.title} on {each.model}", each.record) for each in done)
    for section in found:
        devices = Counter(_said(each.record, "device") for each in section.measurements if not each.error)
        if len(devices) > 1:
            counts = ", ".join(f"{name} ({count})" for name, count in sorted(devices.items()))
            told.append(f"means of {section.model} on {section.source} mix devices: {counts}")
        told += _mixed_measures(section)
    told += unsaid_measures(each.record for each in done)
    later = Counter(name for each in done for name in _names(each.record.get(OF_FILES)) if name in each.figures)
    if later:
        counts = ", ".join(f"{name} ({count})" for name, count in sorted(later.items()))
        told.append(f"figures that were measured later, of the kept videos, which are compressed: {counts}")
    return told


def _mixed_measures(section: Section) -> list[str]:
    """A sentence where some videos of a model were made with what takes less memory and more time, and others without."""
    done = [each for each in section.measurements if not each.error and each.title != FROZEN]
    taken = [(each.title, _names(each.record.get(MEASURES))) for each in done]
    if len({tuple(own) for _, own in taken}) < 2:
        return []
    listed = "; ".join(sorted({f"{title} ({', '.join(own)})" for title, own in taken if own}))
    return [
        f"seconds and memory of {section.model} on {section.source} do not compare: so that they fit, some were measured with "
        f"what takes more time: {listed}"
    ]


def mixed_code(records: Iterable[tuple[str, Mapping[str, object]]]) -> list[str]:
    """A sentence where records of one thing are of several states of the code, or some of an unknown one; else nothing.

    Args:
        records: each with what it is of, such as a method on a model: methods and models have code of their own.
    """
    codes: dict[str, Counter[str]] = {}
    for name, record in records:
        codes.setdefault(name, Counter())[_said(record, CODE)] += 1
    unknown = sum(counts[UNKNOWN] for counts in codes.values())
    several = sorted(name for name, counts in codes.items() if len(counts) > 1)
    told = [f"{unknown} of {sum(map(Counter.total, codes.values()))} records do not say which"] if unknown else []
    told += [f"several are of {', '.join(several)}"] if several else []
    return [f"results of more than one state of the code may stand side by side: {'; '.join(told)}"] if told else []


def unsaid_measures(records: Iterable[Mapping[str, object]]) -> list[str]:
    """A sentence where records of figures of a tracker or a CLIP model do not say of which version and grid it was; else nothing.

    Args:
        records: of motionlift bench.
    """
    figures = [(record, record.get("figures")) for record in records]
    measured = [
        record
        for record, own in figures
        if isinstance(own, dict) and any(str(name).startswith(BY_A_MEASURE) for name in own)
    ]
    unsaid = sum(not record.get(MEASURED_BY) for record in measured)
    if not unsaid:
        return []
    return [
        f"{unsaid} of {len(measured)} records with figures of a tracker or a CLIP model do not say of which version and grid it "
        "was: they are from before that was kept"
    ]


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _said(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else UNKNOWN
