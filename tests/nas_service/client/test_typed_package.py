"""The client alone: made of the API's document, built as a package, and needing two others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from nas_service.client.generate import FOLDER, KEPT, generate

ROOT = Path(__file__).resolve().parents[3]
ALONE = """
import sys
from importlib.metadata import requires
from packaging.requirements import Requirement

def needs(name, seen):
    if name in seen:
        return seen
    seen.add(name)
    for one in requires(name) or []:
        needed = Requirement(one)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            needs(needed.name, seen)
    return seen

allowed = needs("httpx", set()) | needs("pydantic", set())
allowed = {one.lower().replace("-", "_") for one in allowed} | {"annotated_types", "nas_client"}

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0].lower()
        if top not in allowed and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ModuleNotFoundError(f"the client alone has no {name}", name=name)

sys.meta_path.insert(0, Guard())
sys.path.insert(0, sys.argv[1])
import nas_client
assert nas_client.__file__.startswith(sys.argv[1])
for kind in (nas_client.Client, nas_client.AsyncClient):
    print(len(vars(kind("http://127.0.0.1:1"))))
"""


def test_what_is_generated_is_what_is_kept(tmp_path: Path) -> None:
    """A change of the API changes the client: python -m nas_service.client.generate."""
    generate(json.loads(KEPT.read_text()), tmp_path)
    for name in ("models.py", "resources.py", "async_resources.py"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client")
    source = folder / "source"
    source.mkdir()
    for file in FOLDER.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_package_needs_httpx_and_pydantic_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    assert "nas_client/py.typed" in names
    (metadata,) = tmp_path.glob("nas_client-*.dist-info/METADATA")
    needed = re.findall(r"^Requires-Dist: (\w+)", metadata.read_text(), re.M)
    assert needed == ["httpx", "pydantic"]
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    resources, awaited = (int(line) for line in done.stdout.split())
    assert resources == awaited > 20


def test_the_client_is_of_the_services_version() -> None:
    own, whole = (
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        for folder in (FOLDER, ROOT)
    )
    assert own["version"] == whole["version"]
    floors = {one.partition(">")[0]: one for one in whole["dependencies"]}
    assert own["dependencies"] == [floors["httpx"], floors["pydantic"]]


def test_what_the_documents_show_is_typed_as_it_says(tmp_path: Path) -> None:
    snippets = []
    for file in (FOLDER / "README.md", ROOT / "docs" / "tutorial.md"):
        found = re.findall(r"```python\n(.*?)```", file.read_text(), re.S)
        snippets += [one for one in found if "nas_client" in one]
    assert len(snippets) >= 2
    for number, text in enumerate(snippets):
        code = text.replace("nas_client", "nas_service.client.typed")
        (tmp_path / f"snippet{number}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
