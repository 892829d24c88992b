"""Options that say how a data set is to be read; the same on every command that imports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

_OPTIONS: dict[str, Any] = {
    "image_size": Annotated[
        int | None, typer.Option(help="Pixels a side; their median, up to 224, unless given.")
    ],
    "layout": Annotated[
        str | None, typer.Option(help="What to read: folders, table, parquet or arrays.")
    ],
    "split": Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=PART: a folder, file or value is the train, validation or test part, or "
            "ignored (ignore); `draw` draws all parts anew. May be repeated."
        ),
    ],
    "classes": Annotated[
        str | None,
        typer.Option(help="What the class is in folders within folders: leaf, top, groups, path."),
    ],
    "background": Annotated[str | None, typer.Option(help="Colour below alpha; white.")],
    "value_range": Annotated[
        str | None, typer.Option(help="LOW,HIGH: what is black and white beyond 8 bits.")
    ],
    "allow_unreadable": Annotated[
        str | None, typer.Option(help="Share of pictures that may be unreadable, as 1%.")
    ],
    "image_column": Annotated[str | None, typer.Option(help="Column of pictures or paths.")],
    "label_column": Annotated[str | None, typer.Option(help="Column of labels.")],
    "group_column": Annotated[
        str | None, typer.Option(help="Column of groups (patient, video) that stay on one side.")
    ],
    "teacher": Annotated[
        str | None, typer.Option(help="Of imitation: the program (.pt2) whose answers are learned.")
    ],
    "time_column": Annotated[
        str | None, typer.Option(help="Of signals in tables: the column of seconds or timestamps.")
    ],
    "window": Annotated[int | None, typer.Option(help="Of signals in tables: steps of a window.")],
    "hop": Annotated[
        int | None, typer.Option(help="Steps to the next window; a window's unless given.")
    ],
    "normal": Annotated[
        str | None, typer.Option(help="Of anomaly detection: the label of normal windows.")
    ],
}


def with_answers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it gets them as one dictionary, `answers`."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for name, one in signature.parameters.items() if name != "answers"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    @wraps(command)
    def with_dictionary(**values: Any) -> Any:
        given = {name: values.pop(name) for name in _OPTIONS}
        if given["split"]:
            given["split"] = ",".join(given["split"])
        answers = {name: value for name, value in given.items() if value not in (None, [], ())}
        return command(**values, answers=answers)

    by_keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    with_dictionary.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*by_keyword, *added], return_annotation=inspect.Signature.empty
    )
    with_dictionary.__annotations__ = {one.name: one.annotation for one in (*own, *added)}
    return with_dictionary
