"""The command line: `nas`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nas_service.client import ApiError
from nas_service.errors import NasError

_OPTION_OF = {
    "n_queries": "--queries",
    "n_winners": "--winners",
    "n_initial": "--initial",
    "precisions": "--precision",
    "objectives": "--objective",
    "limits": "--limit",
    "also_devices": "--also-device",
    "follows": "--follow",
    "training.batch": "--train-batch",
    "targets": "--target",
}
"""Fields of the API whose option is not called as they are."""


def in_options(text: str, problem: Mapping[str, Any], typed: Sequence[str]) -> str:
    """An error that begins with a field of the API, with the option that was typed for it."""
    named = [problem.get("field"), *(one.get("field") for one in problem.get("errors") or ())]
    for field in {str(one) for one in named if one}:
        last = field.rpartition(".")[2].replace("_", "-")
        option = _OPTION_OF.get(field, f"--{last}")
        if any(one == option or one.startswith(f"{option}=") for one in typed):
            text = re.sub(rf"(?<![\w.-]){re.escape(field)}(?=: )", option, text)
    return text


def _setting(error: ValueError) -> str:
    """What is wrong with the environment, by the setting's name."""
    first = error.errors()[0]  # type: ignore[attr-defined]  # pydantic's, imported by then
    name = "_".join(str(part) for part in first["loc"]).upper()
    return f"NAS_{name}: {first['msg'].removeprefix('Value error, ')}"


def main() -> None:
    """Run the command line; what goes wrong is one line and a non-zero exit."""
    from nas_service.cli.app import app  # imported late: `nas --help` of a broken setup still runs

    try:
        app(standalone_mode=True)
    except (ApiError, NasError) as error:
        fields = error.problem if isinstance(error, ApiError) else error.fields
        said = " ".join(in_options(str(error), fields, sys.argv).split("\n"))
        print(f"nas: {said}", file=sys.stderr)
        sys.exit(1)
    except ValueError as error:
        if not type(error).__module__.startswith("pydantic"):
            raise
        print(f"nas: {_setting(error)}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(
            f"nas: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr
        )
        sys.exit(1)
