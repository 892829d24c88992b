"""Exported torch programs that users bring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nas_service.compilation.uploads.archives import OpenSizes, rewrite
from nas_service.compilation.uploads.refusal import answer, bad, require_answers, require_shape
from nas_service.errors import NasError


def inspect_program(
    path: Path, normalised: Path, shape: Sequence[int] | None = None
) -> dict[str, Any]:
    """Check an exported program and write it anew; see `inspect`."""
    try:
        operators = rewrite(path, normalised)
        program = torch.export.load(normalised)
        require_inference(program)
        image = _example(program)
        module = program.module()
        with torch.no_grad():
            logits = _one_tensor(module(image))
            again = _one_tensor(module(image))
        notes = []
        if not image.is_contiguous():
            _export_again(module, image, normalised)
            notes.append("its example was not contiguous (channels last); it was exported again")
    except NasError:
        raise
    except Exception as error:  # whatever torch raises on a broken archive
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise bad(f"it is cut off, or torch does not run it: {lines[0]}") from error
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        require_answers(_one_tensor(module(noise)).numpy(), _one_tensor(module(noise)).numpy())
        require_answers(logits.numpy(), again.numpy())
    require_shape(tuple(image.shape)[1:], shape)
    told = answer("program", tuple(image.shape), tuple(logits.shape), operators)
    return {**told, "notes": notes, "quantised": False}


def inspect_trainable_program(path: Path, normalised: Path) -> dict[str, Any]:
    """Check a program that is to be trained on: one float32 input of any batch, one answer."""
    try:
        operators = rewrite(path, normalised, open_sizes=OpenSizes.BATCH)
        program = torch.export.load(normalised)
        require_inference(program)
        example = _one_example(program)
        with torch.no_grad():
            answers = _one_tensor(program.module()(example))
            again = _one_tensor(program.module()(example))
    except NasError:
        raise
    except Exception as error:  # whatever torch raises on a broken archive
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise bad(f"it is cut off, or torch does not run it: {lines[0]}") from error
    require_answers(answers.numpy(), again.numpy())
    shapes = {"input": list(example.shape), "output": list(answers.shape)}
    return {"form": "program", "operators": operators, **shapes}


def _one_example(program: Any) -> torch.Tensor:
    """The batch that the program was exported with."""
    arguments, keywords = program.example_inputs
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    if keywords or len(arguments) != 1 or len(tensors) != 1:
        n = len(arguments) + len(keywords)
        raise bad(f"it takes {n} inputs; networks that are searched take one tensor")
    (example,) = tensors
    if example.dtype != torch.float32 or example.ndim < 2:
        kind = str(example.dtype).removeprefix("torch.")
        raise bad(f"its example is {kind} of {tuple(example.shape)}, not float32 of a batch")
    return example


_TRAINING: dict[str, int] = {
    "aten.batch_norm.default": 5,
    "aten._native_batch_norm_legit.default": 5,
    "aten.native_batch_norm.default": 5,
    "aten.dropout.default": 2,
    "aten.native_dropout.default": 2,
}
"""Operators that do something else in training, and the argument that says so."""
_RANDOM = (
    *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like"),
    *("bernoulli", "multinomial", "normal", "poisson", "exponential", "uniform"),
)


def require_inference(program: Any) -> None:
    """Refuse a program in training mode, or of random numbers."""
    for node in program.graph.nodes:
        name = str(node.target)
        at = _TRAINING.get(name)
        if at is not None and len(node.args) > at and node.args[at] is True:
            raise bad(
                f"it is in training mode ({node.name}): call model.eval() before torch.export"
            )
        if name.startswith("aten.") and name.split(".")[1].rstrip("_") in _RANDOM:
            raise bad(f"it draws random numbers ({node.name}): no two answers of it are the same")


def _one_tensor(answered: Any) -> torch.Tensor:
    if isinstance(answered, torch.Tensor):
        return answered
    if isinstance(answered, dict):
        kind = f"a dictionary ({', '.join(map(str, answered))})"
    elif isinstance(answered, list | tuple):
        kind = f"a {type(answered).__name__} of {len(answered)}"
    else:
        kind = f"a {type(answered).__name__}"
    raise bad(f"its output is {kind}, not one tensor of scores; return that tensor alone")


def _export_again(module: Any, image: torch.Tensor, path: Path) -> None:
    """The same program for a contiguous picture: converters rely on the example's strides."""
    torch.export.save(torch.export.export(module, (image.contiguous(),)), path)


def _example(program: Any) -> torch.Tensor:
    """The one image that the program was exported with."""
    arguments, keywords = program.example_inputs
    if len(arguments) != 1 or keywords or not isinstance(arguments[0], torch.Tensor):
        raise bad("it takes something else than one image")
    image = arguments[0]
    if image.ndim != 4 or image.shape[0] != 1:
        raise bad(f"its example is {tuple(image.shape)}, not (1, channels, height, width)")
    if image.dtype != torch.float32:
        kind = str(image.dtype).removeprefix("torch.")
        raise bad(f"its example is {kind}, not float32: export it with float32 weights and picture")
    return image
