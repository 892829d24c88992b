"""Names of the policies by which training samples may be changed further; see `Data.varied`."""

from __future__ import annotations

from nas_service.errors import InvalidSpec

AUGMENTATIONS = ("trivial_augment", "rand_augment", "auto_augment", "aug_mix")
NONE = "none"
_TASK = "image_classification"


def require_augments(task: str, label: str, *, field: str) -> None:
    """Refuse a learning task, by name and what it is called, whose samples no policy changes.

    Raises:
        InvalidSpec: names `field`, by which the policy was asked for.
    """
    if task != _TASK:
        raise InvalidSpec(
            f"{field}: it is for pictures of one label each, not for {label}", field=field
        )
