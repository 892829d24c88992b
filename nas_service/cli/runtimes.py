"""What each runtime makes of a model, from its form and operators alone."""

from __future__ import annotations

from typing import Any

from nas_service.compilation.forms import ONNX, why_not_read


def runtimes_for(
    form: str, operators: set[str], *, any_signature: bool = False
) -> list[dict[str, Any]]:
    """What each runtime makes of a model; `any_signature` is for one with samples of its own."""
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
        if not why and any_signature and not converter.any_signature:
            why = "is given models of one input and one output alone"
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
