"""`nas inspect`: what a model file is, and what would be made of it; nothing is uploaded."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import JsonOption
from nas_service.cli.recorded import signature_of
from nas_service.cli.runtimes import runtimes_for
from nas_service.errors import InvalidData, InvalidSpec, readable
from nas_service.recorded.signature import Signature


def inspect(
    model: Path,
    shape: Annotated[
        str | None, typer.Option(help="CxHxW, for a graph whose sizes are open: 3x224x224.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model file is, what is mended in it, and what each runtime takes of it."""
    looked = _looked_at_any(model, shape_of(shape))
    if as_json:
        output.show_json(looked)
        return
    if "signature" in looked:
        print(f"{model.name}: {looked['form']}, {looked['size_bytes']:,} bytes")
        signature = Signature.from_dict(looked["signature"])
        for one in signature.inputs:
            print(readable(f"  reads {one.shown}"))
        for one in signature.outputs:
            print(readable(f"  gives {one.shown}"))
        print(f"{len(looked['layers'])} layers; `nas compress` takes it with --samples")
        print(f"with --dataset {looked['with_dataset']}")
    else:
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


def _looked_at_any(model: Path, shape: list[int] | None) -> dict[str, Any]:
    """As a classifier of pictures where it is one; else by its inputs and outputs."""
    try:
        return looked_at(model, shape)
    except InvalidData as error:
        if shape is not None or not model.is_file():
            raise
        # what keeps it from being looked at so as well is what is wrong with it
        return {**signature_of(model), "with_dataset": str(error)}


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
        "runtimes": runtimes_for(looked["form"], set(looked["operators"])),
    }
