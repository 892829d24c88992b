"""The contract that every converter keeps; authors of plug-ins subclass it.

A test class gives a `converter` fixture, and `source` and `reference` fixtures of a network: its
forms with calibration samples, and `(samples, outputs)` that torch computed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lookup_tables.target import Target
from nas_service.compilation.base import Converter, FloatArray32, Source
from nas_service.compilation.executable import Executable, compare
from nas_service.errors import Unsupported
from nas_service.learning.registry import learning_task

Reference = tuple[FloatArray32, FloatArray32]


class ConverterContract:
    """Tests that hold for any converter whose files run on this machine."""

    @pytest.fixture
    def target(self, converter: Converter) -> Target:
        """In the first precision; a subclass may say otherwise."""
        return Target("here", converter.toolchain.name, "1", converter.precisions[0])

    def test_every_precision_computes_the_same_network(
        self,
        converter: Converter,
        source: Source,
        reference: Reference,
        target: Target,
        tmp_path: Path,
    ) -> None:
        samples, outputs = reference
        agree = learning_task().agreement
        for precision in converter.precisions:
            wanted = replace(target, precision=precision)
            assert converter.supports(wanted)
            made = converter.compile(source, wanted, tmp_path)
            assert made.path.parent == tmp_path
            found = compare(Executable(made.path, wanted), samples, outputs, precision, agree)
            assert found.ok, (precision, found)
            if precision == "int8":  # quantised indeed
                assert found.sqnr_db < 60.0
        assert not list(tmp_path.glob("*.partial*"))

    def test_what_it_does_not_make_is_not_supported(
        self, converter: Converter, target: Target
    ) -> None:
        assert not converter.supports(replace(target, runtime="another"))
        assert not converter.supports(replace(target, precision="int1"))

    def test_a_source_without_the_form_it_reads_is_refused(
        self, converter: Converter, target: Target, tmp_path: Path
    ) -> None:
        with pytest.raises(Unsupported, match="which is not there"):
            converter.compile(Source(None), target, tmp_path)
        assert not list(tmp_path.iterdir())

    def test_int8_without_calibration_samples_is_refused(
        self, converter: Converter, source: Source, target: Target, tmp_path: Path
    ) -> None:
        if "int8" not in converter.precisions:
            assert not converter.supports(replace(target, precision="int8"))
            return
        with pytest.raises(Unsupported, match="calibration samples"):
            converter.compile(
                replace(source, calibration=None), replace(target, precision="int8"), tmp_path
            )
        assert not list(tmp_path.iterdir())
