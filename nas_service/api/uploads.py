"""Files that clients send: streamed to disk, within a limit, then kept by content."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from nas_service.api.dependencies import Services
from nas_service.errors import InvalidSpec, Unavailable
from nas_service.storage.blobs import require_space

UNFINISHED = "upload-"
"""How files and folders begin that are gone when a request ends, unless the service was killed."""
_ABANDONED_S = 86_400.0
_LONGEST_NAME = 60
"""Characters, each of up to four bytes: a file's name may have 255 of these."""


def sweep(scratch: Path) -> None:
    """Remove what requests left that were cut off more than a day ago."""
    for one in scratch.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another process sweeps, too
            if time.time() - one.stat().st_mtime > _ABANDONED_S:
                if one.is_dir():
                    shutil.rmtree(one, ignore_errors=True)
                else:
                    one.unlink()


def plain_name(filename: str, ending: str) -> str:
    """What a file is called when it is read: by its own name, as far as that suits any folder."""
    stem = filename[: -len(ending)].replace("\\", "/").rpartition("/")[2]
    return (re.sub(r"[^\w. -]", "_", stem).strip(". ")[:_LONGEST_NAME] or "upload") + ending


def sent_as(media_type: str) -> dict[str, Any]:
    """What the OpenAPI document says of a body that is read as it comes."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


async def keep_upload(request: Request, with_: Services, ending: str, limit: int) -> str:
    """Store the body of a request as a blob; gives its SHA-256. Raises as `received` does."""
    async with received(request, with_, ending, limit) as file:
        return await run_in_threadpool(with_.blobs.put, file)


@asynccontextmanager
async def received(
    request: Request, with_: Services, ending: str, limit: int
) -> AsyncIterator[Path]:
    """The body of a request as a file that is gone afterwards.

    Raises:
        InvalidSpec: it is empty or larger than `limit`.
        Unavailable: there is no room for it.
    """
    declared = int(request.headers.get("content-length", "0"))
    if declared > limit:
        raise InvalidSpec(f"the upload is larger than {limit:,} bytes: {declared:,}", field="body")
    require_space(with_.settings.scratch_dir, declared + with_.settings.min_free_bytes)
    with tempfile.NamedTemporaryFile(
        dir=with_.settings.scratch_dir, prefix=UNFINISHED, suffix=ending
    ) as partial:
        written = 0
        try:
            async for chunk in request.stream():
                written += len(chunk)
                if written > limit:
                    raise InvalidSpec(f"the upload is larger than {limit:,} bytes", field="body")
                partial.write(chunk)
            partial.flush()
        except OSError as error:
            raise Unavailable(f"the upload cannot be stored: {error.strerror}") from error
        if not written:
            raise InvalidSpec("the upload is empty", field="body")
        yield Path(partial.name)
