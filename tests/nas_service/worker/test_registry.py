"""Every step of every workflow is in the registry, and the registry holds nothing else."""

from __future__ import annotations

import inspect
import subprocess
import sys

from nas_service.queues import QUEUE_OF
from nas_service.worker import helping, search_workflow, step_functions, workflows
from nas_service.worker.step import Step
from nas_service.worker.workflows import Workflows


def _steps() -> set[str]:
    return {name for name, one in vars(step_functions).items() if isinstance(one, Step)}


def test_every_step_is_used_by_a_workflow() -> None:
    source = "".join(map(inspect.getsource, (workflows, search_workflow))) + _of_helpers()
    assert all(f"steps_of.{name}" in source for name in _steps())


def _of_helpers() -> str:
    """The one step that no job has: helpers run it for another worker's search."""
    source = inspect.getsource(helping)
    assert "step_functions.help_search" in source
    return source.replace("step_functions.", "steps_of.")


def test_every_kind_of_job_has_a_workflow() -> None:
    assert all(callable(getattr(Workflows, kind)) for kind in QUEUE_OF)


def test_a_worker_imports_no_torch_for_its_workflows() -> None:
    code = "import sys, nas_service.worker.workflows; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
