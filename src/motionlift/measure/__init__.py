"""Scores of generated clips: beside their references, and beside known truth.

A metric is one file of this folder that defines ``METRIC``, a :class:`motionlift.measure.metric.Metric`: it is then among what
:func:`motionlift.score` measures, what a run of ``motionlift bench`` may ask for, and what reports and docs/metrics.md explain.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from motionlift.measure.metric import Figure, Metric


def metrics() -> tuple[Metric, ...]:
    """Every metric, in the order in which they are measured and told."""
    return _metrics(tuple(__path__))


def figures() -> Mapping[str, Figure]:
    """Every figure of every metric by its name, in the order of :func:`metrics`."""
    return {figure.name: figure for metric in metrics() for figure in metric.figures}


@functools.cache
def _metrics(folders: tuple[str, ...]) -> tuple[Metric, ...]:
    """The metrics of the files in some folders, which are looked through once."""
    modules = [importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(folders)]
    return tuple(sorted((module.METRIC for module in modules if hasattr(module, "METRIC")), key=_order))


def _order(metric: Metric) -> tuple[int, str]:
    return metric.order, metric.name
