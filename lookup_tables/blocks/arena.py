"""What LiteRT holds while the operators of a block run one after the other.

Its kernels read maps with channels last. Where a convolution has a stride, its padding is an
operator of its own that writes a padded copy, unless both sides are padded alike; one of more than
a pixel unfolds what it reads (im2col) beside its output. Depthwise ones do not.
"""

from __future__ import annotations


class Arena:
    """Numbers held at once; `peak` is the most so far. It begins with the block's input."""

    def __init__(self, given: int) -> None:
        self._now = given
        self._kept = 0
        self.peak = given

    def keep(self) -> None:
        """What is there now is read again by `add`."""
        self._kept, self._now = self._now, 0

    def then(self, made: int, scratch: int = 0) -> None:
        """An operator that reads what was made last, or kept, and makes so many numbers."""
        self.peak = max(self.peak, self._kept + self._now + made + scratch)
        self._now = made

    def add(self) -> None:
        """The sum of what was kept and what was made last, a tensor of its own."""
        self.peak = max(self.peak, self._kept + 2 * self._now)
        self._kept = 0


def padded(size: int, out: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Pixels a side of a padded copy; `size` where none is made."""
    both = 2 * (dilation * (kernel // 2))
    same = max((out - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return size if same == both else size + both
