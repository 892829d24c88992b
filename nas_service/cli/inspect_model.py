"""`nas inspect`: what a model file is, and what would be made of it; nothing is uploaded."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import JsonOption
from nas_service.compilation.forms import ONNX, why_not_read
from nas_service.errors import InvalidData, InvalidSpec


def inspect(
    model: Path,
    shape: Annotated[
        str | None, typer.Option(help="CxHxW, for a graph whose sizes are open: 3x224x224.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model file is, what is mended in it, and what each runtime takes of it."""
    looked = looked_at(model, shape_of(shape))
    if as_json:
        output.show_json(looked)
        return
    size = looked["size"]
    print(
        f"{model.name}: {looked['form']}, images of {looked['channels']} x {size} x {size}, "
        f"{looked['classes']} classes, {looked['size_bytes']:,} bytes"
    )
    print(f"operators: {', '.join(looked['operators'])}")
    for note in looked["notes"]:
        print(f"made ready: {note}")
    if looked["quantised"]:
        print("its layers are in integers already; `nas compress` takes the float model")
    output.show(
        looked["runtimes"],
        [
            ("runtime", "runtime"),
            ("precisions", "precisions"),
            ("takes it", "takes"),
            ("why", "why"),
        ],
        as_json=False,
        title="what runtimes take",
    )


def shape_of(text: str | None) -> list[int] | None:
    """Channels, height and width of `3x224x224`.

    Raises:
        InvalidSpec: it is something else.
    """
    if text is None:
        return None
    sides = re.split(r"[x,]", text)
    if len(sides) != 3 or not all(re.fullmatch(r"[1-9][0-9]{0,4}", side) for side in sides):
        raise InvalidSpec(f"--shape takes CxHxW, as 3x224x224, not {text!r}", field="shape")
    return [int(side) for side in sides]


def looked_at(model: Path, shape: list[int] | None = None) -> dict[str, Any]:
    """What `nas inspect` shows.

    Raises:
        InvalidData: there is no such file, or it is refused; the message says what to do.
    """
    from nas_service.compilation.uploads.inspect import inspect as look

    if not model.is_file():
        raise InvalidData(f"there is no file {model}", field="model")
    with tempfile.TemporaryDirectory() as folder:
        looked = look(model, Path(folder) / "ready", shape=shape)
    return {
        **looked,
        "size_bytes": model.stat().st_size,
        "runtimes": _runtimes(looked["form"], set(looked["operators"])),
    }


def _runtimes(form: str, operators: set[str]) -> list[dict[str, Any]]:
    from nas_service.compilation import toolchains
    from nas_service.compilation.registry import converters
    from nas_service.settings import Settings

    rows = []
    for name, converter in converters().items():
        one = converter.toolchain
        status = toolchains.status(one, Settings())
        known = operators if converter.operators is None else converter.operators
        lacking = sorted(operators - known)
        why = why_not_read(converter.form, form)
        if not why and lacking and form == ONNX:
            why = f"does not run {', '.join(lacking)}"
        never = bool(why)
        if not why and not status.ready:
            why = f"lacks {', '.join(status.missing)}: {status.how}"
        elif not why and one.hardware:
            why = f"runs on {one.hardware} alone"
        rows.append(
            {
                "runtime": name,
                "precisions": ", ".join(converter.precisions),
                "takes": "no" if why else "yes",
                "why": why,
                "never": never,
            }
        )
    return rows
