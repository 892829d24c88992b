"""Learning tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from nas_service.errors import InvalidSpec
from nas_service.learning.base import LearningTask
from nas_service.plugins import LEARNING_TASKS, load, names
from nas_service.space.base import Sample

DEFAULT = "image_classification"
"""The task of data sets that name none."""


@cache
def learning_task(name: str = DEFAULT) -> LearningTask:
    """The task of that name.

    Raises:
        UnknownPlugin: there is none; the known ones are listed.
    """
    made: LearningTask = load(LEARNING_TASKS, name)()
    return made


def sample_in(values: Mapping[str, Any]) -> Sample | None:
    """The sample that plain values have under the name of its kind, as `image`; None without any.

    So table files, requests and stored jobs say what a space is made for.
    """
    for name in names(LEARNING_TASKS):
        task = learning_task(name)
        if values.get(task.sample_name):
            return task.sample_of(values[task.sample_name])
    return None


def required_sample(values: Mapping[str, Any]) -> Sample:
    """The same; `InvalidSpec` lists the kinds where there is none."""
    sample = sample_in(values)
    if sample is None:
        known = sorted({learning_task(name).sample_name for name in names(LEARNING_TASKS)})
        raise InvalidSpec(f"nothing says what goes in; give one of {', '.join(known)}")
    return sample


def task_of(facts: Mapping[str, Any]) -> LearningTask:
    """The task of a data set, by its facts."""
    return learning_task(facts.get("task", DEFAULT))
