"""Compilers that call a converter in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from lookup_tables import runtimes
from lookup_tables.errors import LookupTableError
from lookup_tables.quantized import is_quantized
from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Executable, FloatArray32, Source
from nas_service.compilation.process import Limits, convert
from nas_service.compilation.toolchains import Toolchain, require
from nas_service.errors import Unsupported
from nas_service.settings import Settings


class RuntimeExecutable:
    """A file that one of `lookup_tables.runtimes` loads, with one input and one output."""

    def __init__(self, path: Path, target: Target) -> None:
        try:
            self._model = runtimes.load(path, target)
        except LookupTableError as error:
            raise Unsupported(str(error)) from error
        (self._input,) = self._model.inputs

    def run(self, image: FloatArray32) -> FloatArray32:
        """See `Executable.run`."""
        return np.array(self._model.run({self._input: image})[0], dtype=np.float32)


class ConvertedCompiler:
    """What such compilers share; a subclass says which converter, for what and from what."""

    toolchain: Toolchain
    precisions: tuple[str, ...]
    runtime: str
    script: str
    suffix: str
    from_program = False
    """Whether it reads the exported torch program rather than the ONNX graph."""
    quantises: tuple[str, ...] = ("int8",)
    """Precisions for which it has to see calibration images."""
    for_this_processor = False
    """Whether a file runs on machines like the one it was made on, and on no others."""
    compiles_for_threads = False
    """Whether a file is made for a number of threads, rather than told of it when it is loaded."""
    limits = Limits()

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        self.settings = settings or Settings()
        self.options = options

    def supports(self, target: Target) -> bool:
        """Targets of its runtime, in one of its precisions."""
        return target.runtime == self.runtime and target.precision in self.precisions

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """See `Compiler.compile`."""
        return self.compile_all([source], target, out_dir)[0]

    def compile_all(
        self, sources: Sequence[Source], target: Target, out_dir: Path
    ) -> list[Compiled]:
        """Compile several networks, whose files are named differently, in one process.

        Loading a toolchain takes longer than converting a small network by it.
        """
        require(self.toolchain, self.settings)
        read = [self._read(source) for source in sources]
        requests = [self._request(one, by, target) for one, by in zip(sources, read, strict=True)]
        out_dir.mkdir(parents=True, exist_ok=True)
        made = []
        with tempfile.TemporaryDirectory(dir=out_dir) as name:
            for number, request in enumerate(requests):
                folder = Path(name) / str(number)
                folder.mkdir()
                request["out"] = str(folder / f"model{self.converted_suffix}")
            python = self.toolchain.python(self.settings)
            answers = convert(python, self.script, requests, limits=self.limits)
            for by, answer in zip(read, answers, strict=True):
                whole = self.finish([Path(one) for one in answer.pop("files")], answer)
                final = out_dir / f"{by.stem}.{target.precision}{self.suffix}"
                whole.replace(final)
                made.append(Compiled(final, answer))
        return made

    def _request(self, source: Source, read: Path, target: Target) -> dict[str, Any]:
        """What the converter is asked, but for where it writes."""
        request: dict[str, Any] = {
            "source": str(read),
            "precision": target.precision,
            "threads": target.threads,
            "calibration": None,
            "options": self.options,
        }
        if target.precision in self.quantises and not self._rounded(read):
            if source.calibration is None:
                raise Unsupported(
                    f"{self.toolchain.name} needs calibration images for {target.precision}"
                )
            request["calibration"] = str(source.calibration)
        return request

    @property
    def converted_suffix(self) -> str:
        """Of the file that the converter writes."""
        return self.suffix

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """The one file to ship, from those that the converter wrote."""
        del notes
        return files[0]

    def load(self, compiled: Path, target: Target) -> Executable:
        """See `Compiler.load`."""
        return RuntimeExecutable(compiled, target)

    def _rounded(self, read: Path) -> bool:
        """Whether the source is quantised already: what it holds is kept."""
        return not self.from_program and is_quantized(read)

    def _read(self, source: Source) -> Path:
        """The form that this compiler reads."""
        read = source.program if self.from_program else source.graph
        if read is None:
            form = "an exported torch program (.pt2)" if self.from_program else "an ONNX graph"
            raise Unsupported(f"{self.toolchain.name} compiles from {form}, which is not there")
        return read


def packed(files: dict[str, Path], text: dict[str, str], out: Path) -> Path:
    """One zip, uncompressed, of some files and texts."""
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name, path in files.items():
            archive.write(path, name)
        for name, content in text.items():
            archive.writestr(name, content)
    return out
