"""Converters that call a script of their toolchain in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from zipfile import ZIP_STORED, ZipFile

from lookup_tables.quantized import is_quantized
from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.forms import ONNX, SAID
from nas_service.compilation.process import Limits, convert
from nas_service.compilation.toolchains import require
from nas_service.errors import Unsupported


class ScriptConverter(Converter):
    """What such converters share; a subclass says which script, for what and from what."""

    script: ClassVar[str]
    """A file of `compilation.scripts`."""
    suffix: ClassVar[str]
    quantises: ClassVar[tuple[str, ...]] = ("int8",)
    """Precisions for which it has to see calibration samples."""
    limits: ClassVar[Limits] = Limits()

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """See `Converter.compile`."""
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
        """What the script is asked, but for where it writes."""
        request: dict[str, Any] = {
            "source": str(read),
            "precision": target.precision,
            "threads": target.threads,
            "calibration": None,
            "keep_float": list(source.keep_float),
            "options": self.options,
        }
        if target.precision in self.quantises and not self._rounded(read):
            if source.calibration is None:
                raise Unsupported(
                    f"{self.toolchain.name} needs calibration samples for {target.precision}"
                )
            request["calibration"] = str(source.calibration)
        return request

    @property
    def converted_suffix(self) -> str:
        """Of the file that the script writes."""
        return self.suffix

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """The one file to ship, from those that the script wrote."""
        del notes
        return files[0]

    def _rounded(self, read: Path) -> bool:
        """Whether the source is quantised already: what it holds is kept."""
        return self.form == ONNX and is_quantized(read)

    def _read(self, source: Source) -> Path:
        """The form that this converter reads."""
        read = source.graph if self.form == ONNX else source.program
        if read is None:
            raise Unsupported(
                f"{self.toolchain.name} compiles from {SAID[self.form]}, which is not there"
            )
        return read


def packed(files: dict[str, Path], text: dict[str, str], out: Path) -> Path:
    """One zip, uncompressed, of some files and texts."""
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name, path in files.items():
            archive.write(path, name)
        for name, content in text.items():
            archive.writestr(name, content)
    return out
