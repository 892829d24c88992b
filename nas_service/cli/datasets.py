"""`nas datasets`: look at data, import it, show and remove data sets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.archive import packed
from nas_service.cli.dataset_options import with_answers
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.cli.waiting import wait_for
from nas_service.client import Client
from nas_service.errors import InvalidSpec, readable

commands = typer.Typer(no_args_is_help=True, help="Data sets.")

PathArgument = Annotated[Path | None, typer.Argument(help="Folder, .zip, .tar, .npz or .parquet.")]
TaskOption = Annotated[
    str | None, typer.Option(help="Learning task; image_classification unless given.")
]
ServerPath = Annotated[str | None, typer.Option(help="A path on the server, below NAS_DATA_ROOTS.")]


@commands.command("list")
def datasets_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List data sets."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/datasets"),
            [
                ("name", "name"),
                ("size", "facts.size"),
                ("channels", "facts.channels"),
                ("train", "facts.n_train"),
                ("validation", "facts.n_validation"),
                ("test", "facts.n_test"),
                ("digest", "digest"),
            ],
            as_json=as_json,
            title="data sets",
        )


@commands.command("inspect")
@with_answers
def datasets_inspect(
    path: PathArgument = None,
    server_path: ServerPath = None,
    task: TaskOption = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
    answers: Any = None,
) -> None:
    """Show what an import would understand of PATH: nothing is sent or stored.

    Ends with status 2 where pictures can be read in more than one way.
    """
    if (path is None) == (server_path is None):
        raise InvalidSpec("give exactly one of PATH and --server-path")
    if path is not None:
        _require_there(path)
        report = looked_at(path, answers, task)
    elif task is not None:
        raise InvalidSpec(
            "--task: on the server only pictures and their classes are looked at", field="task"
        )
    else:
        with Client(server) as nas:
            report = nas.inspect_dataset(str(server_path), **answers)
    if as_json:
        output.show_json(report)
    else:
        show_report(report)
    if report["questions"]:
        raise typer.Exit(2)


@commands.command("add")
@with_answers
def datasets_add(
    name: str,
    path: PathArgument = None,
    builtin: Annotated[str | None, typer.Option(help="A built-in data set: digits.")] = None,
    server_path: ServerPath = None,
    task: TaskOption = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
    answers: Any = None,
) -> None:
    """Import a data set: upload PATH, or name a built-in one or a path on the server."""
    if path is not None:
        _require_there(path)
    with Client(server) as nas:
        nas.wait_until_it_answers()
        added = add_dataset(
            nas, name, path, builtin=builtin, server_path=server_path, task=task, **answers
        )
        wait_for(
            nas,
            added["job"]["id"],
            output.ProgressLine("import", quiet=as_json),
            name=added["job"]["id"],
        )
        dataset = nas.get(f"/v1/datasets/{name}")
    if as_json:
        output.show_json(dataset)
        return
    facts = dataset["facts"]
    if facts.get("report"):
        show_report(facts["report"])
    classes = f"{len(facts['classes'])} classes, " if facts.get("classes") else ""
    what = "samples" if facts.get("task") else "images"
    print(
        f"added data set {name}: {classes}{facts['n_train']} training, "
        f"{facts['n_validation']} validation and {facts['n_test']} test {what}"
    )


@commands.command("show")
def datasets_show(name: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show what was understood of a data set when it was imported."""
    with Client(server) as nas:
        dataset = nas.get(f"/v1/datasets/{name}")
    if as_json:
        output.show_json(dataset)
    elif dataset["facts"].get("report"):
        show_report(dataset["facts"]["report"])
    else:
        print(
            f"data set {name} has no report: it is not imported yet, or was before there were any"
        )


def add_dataset(
    nas: Client,
    name: str,
    path: Path | None,
    *,
    builtin: str | None = None,
    server_path: str | None = None,
    task: str | None = None,
    **answers: Any,
) -> dict[str, Any]:
    """Start an import; a folder of this machine is looked at before it is sent."""
    given = [value for value in (path, builtin, server_path) if value is not None]
    if len(given) != 1:
        raise InvalidSpec("give exactly one of PATH, --builtin and --server-path")
    if answers.get("teacher"):
        answers["teacher"] = nas.upload_model(_program(str(answers["teacher"])))["id"]
    if path is None:
        return nas.add_dataset(name, builtin=builtin, path=server_path, task=task, **answers)
    if task is None:  # others are read by the service alone
        require_answered(path, answers)
    with packed(path) as archive:
        return nas.upload_dataset(name, archive, task=task, **answers)


def _require_there(path: Path) -> None:
    if not path.exists():
        raise InvalidSpec(f"there is no file or folder {path}", field="path")


def _program(name: str) -> Path:
    if not Path(name).is_file():
        raise InvalidSpec(f"--teacher: no file {name}", field="teacher")
    return Path(name)


def require_answered(path: Path, answers: dict[str, Any]) -> None:
    """Look at a folder, and raise `Undecided` where it can be read in more than one way.

    An archive is looked at where it is unpacked anyway, by the import.
    """
    from nas_service.datasets.answers import parse
    from nas_service.datasets.inspection import inspect
    from nas_service.datasets.report import Undecided

    if path.is_dir() and (questions := inspect(path, parse(answers)).report.questions):
        raise Undecided(questions)


def looked_at(path: Path, answers: dict[str, Any], task: str | None = None) -> dict[str, Any]:
    """The report on a folder or file of this machine; of other tasks all of it is read."""
    from nas_service.datasets.answers import parse
    from nas_service.datasets.archives import unpack
    from nas_service.datasets.inspection import inspect
    from nas_service.learning.registry import DEFAULT, learning_task

    line = output.ProgressLine("inspect")

    def tell(fraction: float, message: str) -> None:
        line({"progress": fraction, "message": message, "eta_s": None, "state": "running"})

    with tempfile.TemporaryDirectory() as folder:
        source = unpack(path, Path(folder)) if path.is_file() else path
        if task not in {None, DEFAULT}:
            if answers.get("teacher"):
                raise InvalidSpec("teacher: a model is asked by an import alone", field="teacher")
            of_task = learning_task(str(task))
            found = of_task.ingest(
                source, of_task.answers(answers), tell=tell, within=[source], threads=1
            )
            report: dict[str, Any] = found.facts()["report"]
            return report
        return inspect(source, parse(answers), tell=tell).report.as_dict()


def show_report(report: dict[str, Any]) -> None:
    """Print a report for people."""
    print(readable(f"layout: {report['layout']}"))
    parts = list(report["counts"])
    if parts:
        rows = [
            {"class": name, **{part: report["counts"][part].get(name, 0) for part in parts}}
            for name in report["classes"]
        ]
        shown = rows[:30]
        output.show(
            shown, [("class", "class"), *((part, part) for part in parts)], as_json=False, title=""
        )
        if len(rows) > len(shown):
            print(f"... and {len(rows) - len(shown)} more classes")
    for title, lines in (("read as", report["reading"]), ("note", report["notes"])):
        for line in lines:
            print(readable(f"{title}: {line}"))
    for one in report["set_aside"]:
        names = ", ".join(one["names"]) + (", ..." if one["n"] > len(one["names"]) else "")
        print(readable(f"set aside: {one['n']} ({one['reason']}): {names}"))
    for question in report["questions"]:
        print(readable(f"question: {question['text']}"))
        for way in question["alternatives"]:
            print(readable(f"  {way['option']}   {way['meaning']}"))
