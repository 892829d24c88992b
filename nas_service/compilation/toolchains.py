"""Toolchains: which are here, what is missing, and how to get it.

A toolchain whose packages bear with the service's lives in the same environment, as an extra. One
whose packages do not has an environment of its own, made from pinned requirements; it is called as
a process there, and only its runtime is needed here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lookup_tables.runtimes.registry import runtime, runtime_points, runtime_versions
from nas_service.errors import NotFound, StepFailed, Unsupported
from nas_service.plugins import CONVERTERS, load, names
from nas_service.settings import Settings

REQUIREMENTS = Path(__file__).with_name("requirements")


@dataclass(frozen=True)
class Toolchain:
    """What a compiler needs.

    Args:
        name: as in `nas toolchains`; that of the runtime whose files it makes.
        packages: distributions that have to be importable, the one that gives the version first.
        programs: executables that have to be on the path, for what pip does not have.
        separate: whether the packages need an environment of their own.
        hardware: what its files run on where that is not a processor like this one. This machine
            may have it.
    """

    name: str
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    separate: bool = False
    hardware: str = ""

    def how(self, missing: tuple[str, ...] = ()) -> str:
        """How to get it, or what is missing of it."""
        steps = []
        programs = [one for one in self.programs if not missing or one in missing]
        if self.packages and (not missing or set(missing) - set(programs)):
            steps.append(f"nas toolchains install {self.name}")
        if programs:
            whose = f" ({self.hardware}'s own installer)" if self.hardware else ""
            steps.append(f"put {' and '.join(programs)} on the path{whose}")
        return "; ".join(steps)

    @property
    def requirements(self) -> Path:
        """The pinned packages that `install` takes."""
        return REQUIREMENTS / f"{self.name}.txt"

    def folder(self, settings: Settings) -> Path:
        """Where its own environment is, if it has one."""
        return settings.toolchains_dir.resolve() / self.name

    def python(self, settings: Settings) -> str:
        """The interpreter that has its packages."""
        return str(self.folder(settings) / "bin" / "python") if self.separate else sys.executable


@dataclass(frozen=True)
class Status:
    """Whether a toolchain can be used, in which version, or what it lacks."""

    name: str
    ready: bool
    version: str | None
    missing: tuple[str, ...]
    how: str
    hardware: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def toolchain(name: str) -> Toolchain:
    """The toolchain of that name; `NotFound` lists the known ones."""
    known = names(CONVERTERS)
    if name not in known:
        raise NotFound(f"no toolchain {name!r}; known: {', '.join(known)}", field="name")
    found: Toolchain = load(CONVERTERS, name).toolchain
    return found


def status(one: Toolchain, settings: Settings) -> Status:
    """What there is of a toolchain, without importing it."""
    found: dict[str, str | None] = {}
    for package in one.packages:
        found[package] = _version(package, one.folder(settings) if one.separate else None)
    if one.name in runtime_points() and not one.hardware:  # what loads its files here
        package = runtime(one.name).package
        found.setdefault(package, _version(package, None))
    for program in one.programs:
        found[program] = "on the path" if shutil.which(program) else None
    missing = tuple(name for name, told in found.items() if told is None)
    first = next(iter(found.values()))
    return Status(one.name, not missing, first, missing, one.how(missing), one.hardware)


def runs_here(runtime: str) -> bool:
    """Whether this machine has what files for a runtime run on."""
    return runtime in runtime_versions()


def require(one: Toolchain, settings: Settings) -> str:
    """The version of a toolchain that is ready.

    Raises:
        Unsupported: it is not; the error says what is missing and how to get it.
    """
    told = status(one, settings)
    if not told.ready:
        raise Unsupported(
            f"toolchain {one.name} lacks {', '.join(told.missing)}: {told.how}", field="toolchain"
        )
    return told.version or "unknown"


def install(one: Toolchain, settings: Settings) -> list[list[str]]:
    """Install a toolchain's pinned packages; gives the commands that ran.

    Raises:
        Unsupported: pip does not have it.
        StepFailed: a command failed; its last line is told.
    """
    if not one.packages:
        raise Unsupported(f"toolchain {one.name} is not a Python package: {one.how()}")
    if not one.requirements.is_file():  # the service's own packages
        return []
    commands = []
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    runtime = REQUIREMENTS / f"{one.name}-runtime.txt"
    if one.separate:
        folder = one.folder(settings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        commands.append([sys.executable, "-m", "venv", str(folder)])
        own = [one.python(settings), *pip[1:]]
        # torch first and alone: resolved beside others, pip may take a build with CUDA
        torch = REQUIREMENTS / "torch.txt"
        commands += [[*own, "-r", str(torch)], [*own, "-r", str(one.requirements)]]
        if runtime.is_file():
            commands.append([*pip, "-r", str(runtime)])
    else:
        commands.append([*pip, "-r", str(one.requirements)])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise StepFailed(f"{' '.join(command)} failed: {' '.join(last)}")
    _version.cache_clear()
    return commands


@cache
def _version(package: str, folder: Path | None) -> str | None:
    """Of a package in this environment, or in the one below `folder`; None where it is not."""
    if folder is None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None
    name = package.replace("-", "_")
    for found in folder.glob(f"lib/python*/site-packages/{name}-*.dist-info"):
        return found.name.removeprefix(f"{name}-").removesuffix(".dist-info")
    return None
