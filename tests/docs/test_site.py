"""The documents make a site without a warning, with every one of them in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_site_builds_with_warnings_as_errors(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {one.relative_to(DOCS).with_suffix(".html") for one in DOCS.rglob("*.md")}
    assert len(pages) > 25
    lacking = [str(one) for one in pages if not (tmp_path / one).is_file()]
    assert lacking == []
