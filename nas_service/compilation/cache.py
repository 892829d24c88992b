"""A cache of compiled files, by everything that decides what comes out."""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from lookup_tables import quantized
from lookup_tables.runtimes.nvidia import nvidia_models
from lookup_tables.target import Target, this_device
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.toolchains import status
from nas_service.settings import Settings


class CompileCache:
    """Files below a folder; one that is found is copied out, never handed out itself."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self._folder = folder
        self._settings = settings or Settings()

    def compile(
        self, converter: Converter, source: Source, target: Target, out_dir: Path
    ) -> Compiled:
        """As `converter.compile`, from the cache where the same was compiled before.

        Raises:
            Unsupported: see `Converter.compile`; refusals are not kept.
        """
        entry = self._folder / self._key(converter, source, target)
        told = entry / "notes.json"
        with suppress(FileNotFoundError):  # not there, or just made room of
            (name, notes) = json.loads(told.read_text())
            out_dir.mkdir(parents=True, exist_ok=True)
            kept = Path(shutil.copy2(entry / name, out_dir / name))
            told.touch()
            return Compiled(kept, notes)
        made = converter.compile(source, target, out_dir)
        entry.mkdir(parents=True, exist_ok=True)
        partial = entry / (made.path.name + ".partial")
        shutil.copy2(made.path, partial)
        partial.replace(entry / made.path.name)
        # what is not yet told of is not found: a crash in between leaves nothing to trip over
        partial = entry / "notes.partial"
        partial.write_text(json.dumps([made.path.name, dict(made.notes)]))
        partial.replace(told)
        with suppress(FileNotFoundError):  # another process made room at the same time
            self._make_room(entry)
        return made

    def _make_room(self, newest: Path) -> None:
        """Remove what was not asked for the longest until the rest is within the limit."""
        by_use = sorted(self._folder.glob("*/notes.json"), key=lambda told: told.stat().st_mtime)
        sizes = {
            told.parent: sum(one.stat().st_size for one in told.parent.iterdir()) for told in by_use
        }
        total = sum(sizes.values())
        for entry, size in sizes.items():
            if total <= self._settings.compile_cache_bytes:
                return
            if entry != newest:
                shutil.rmtree(entry, ignore_errors=True)
                total -= size

    def _key(self, converter: Converter, source: Source, target: Target) -> str:
        built_on = (converter.toolchain, *converter.built_on)
        threads = target.threads if converter.compiles_for_threads else 1
        anywhere = replace(target, device="", operating_point="", threads=threads)
        parts = {
            "converter": type(converter).__qualname__,
            "options": repr(sorted(converter.options.items())),
            "versions": [status(one, self._settings).version for one in built_on],
            "code": _code(type(converter)),
            # some compile for the processor or the GPU they run on
            "machine": [this_device("here").model, nvidia_models()],
            "target": anywhere.as_dict(),
            "source": [
                None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (source.graph, source.program, source.calibration)
            ],
            "keep_float": sorted(source.keep_float),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code(converter: type[Converter]) -> str:
    """Digest of the code: what it asks of a toolchain is part of what it makes."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    scripts = [*here.glob("*.py"), *(here / "scripts").glob("*.py"), Path(quantized.__file__)]
    defined_in = inspect.getsourcefile(converter)
    scripts += [Path(defined_in)] if defined_in else []
    for path in sorted(set(scripts)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
