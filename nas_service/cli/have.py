"""What a command names and the service has yet to have: this machine, and data at a path."""

from __future__ import annotations

import re
from pathlib import Path

from nas_service.cli import output
from nas_service.cli.archive import content_digest, packed
from nas_service.cli.datasets import require_answered
from nas_service.client import ApiError, Client
from nas_service.errors import InvalidSpec


def have_device(nas: Client, name: str) -> None:
    """Register this machine under the default name, the first time that it is asked for."""
    if name != "this-machine":
        return
    try:
        nas.get(f"/v1/devices/{name}")
    except ApiError as error:
        if error.problem.get("status") != 404:
            raise
        nas.add_device(name, this_machine=True)


def have_dataset(nas: Client, dataset: str, image_size: int | None, *, quiet: bool) -> str:
    """The name of a data set; a path (with a `/`) is uploaded under the name of its last part."""
    path = Path(dataset)
    if _names_a_set(dataset):
        known = {one["name"] for one in nas.every("/v1/datasets")}
        if dataset in known or not path.exists():
            if image_size is not None:
                raise InvalidSpec(
                    "--image-size: a data set has the size that it was imported with; give it to "
                    "`nas datasets add`",
                    field="image_size",
                )
            return str(nas.get(f"/v1/datasets/{dataset}")["name"])
        raise InvalidSpec(
            f"--dataset: no data set {dataset!r}; for the file or folder of that name write "
            f"./{dataset}",
            field="dataset",
        )
    answers = {} if image_size is None else {"image_size": image_size}
    if path.exists():
        require_answered(path, answers)
    with packed(path) as archive:
        # named by content: another folder of the same name, or edited files, is another data set
        digest = content_digest(archive, answers)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.resolve().stem).strip("._-")
        name = f"{stem[: 63 - len(digest)] or 'images'}-{digest}"
        if name not in {one["name"] for one in nas.every("/v1/datasets")}:
            job = nas.upload_dataset(name, archive, **answers)["job"]["id"]
        else:
            found = nas.get(f"/v1/datasets/{name}")
            if found["digest"] is not None:
                return name
            job = next(nas.every("/v1/jobs", subject=found["id"]))["id"]
    nas.wait(job, on_progress=output.ProgressLine("import", quiet=quiet))
    return name


def _names_a_set(dataset: str) -> bool:
    """Whether it is a name, not a path: paths have a separator, or begin with a dot."""
    return "/" not in dataset and "\\" not in dataset and not dataset.startswith((".", "~"))
