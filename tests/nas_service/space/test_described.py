"""Spaces described in YAML: against a space written in Python, and what is said of wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import yaml

from nas_service.errors import InvalidSpec
from nas_service.learning.detection.shape import BoxedImageShape
from nas_service.learning.segmentation.shape import MaskedImageShape
from nas_service.learning.signals.window import Window
from nas_service.networks.supernet import Supernet
from nas_service.space.base import ImageShape, SearchSpace, input_size, lower, parse
from nas_service.space.described.document import read_document, space_name
from nas_service.space.described.space import DescribedSpace
from nas_service.space.ruled import RuledSpace
from nas_service.space.rules import rules_of
from nas_service.space.sampling import uniform
from nas_service.space.temporal import TemporalSpace
from nas_service.space.testing import SearchSpaceContract

# what `temporal` is for windows of fewer than 24 steps, where nothing has a stride
SIGNALS = """
name: keyword
input: signal
define:
  kernels: [3, 5, 9]
  looks: {kernel: {choice: $kernels}, dilation: {from: dilation1}}
decisions:
  width: [0.25, 0.5, 0.75, 1.0]
  depth1: [1, 2, 3]
  dilation1: [1, 2]
layers:
  - {name: stem, block: temporal_conv, sizes: {out_channels: {round: 32, by: width}, kernel: 5}}
  - name: stage1
    block: temporal_separable
    repeat: depth1
    sizes:
      out_channels: {round: 48, by: width}
      kernel: {choice: $kernels}
      dilation: {from: dilation1}
  - {name: head, block: temporal_head}
"""
IMAGES = """
name: tiny
input: image
input_sizes: [16, 24, 32]
decisions:
  width: [0.5, 1.0]
  depth: [1, 2]
layers:
  - {block: conv_relu, sizes: {out_channels: {round: 16, by: width}, kernel: 3, stride: 2}}
  - name: blocks
    block: mbconv
    repeat: depth
    sizes:
      out_channels: {round: 32, by: width}
      kernel: {choice: [3, 5]}
      stride: 1
      mid_channels: {times: in_channels, by: {choice: [1, 2, 4]}}
    first: {stride: 2}
  - {name: head, block: head, sizes: {mid_channels: {round: 64, by: width}}}
overrides:
  "blocks.2.mid*": [1, 2]
rules:
  - never: {width: 1.0, depth: 2}
"""
WINDOW, IMAGE = Window(20, 6, 4), ImageShape(32, 3, 10)


def _given(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _space(text: str, sample: Any) -> SearchSpace:
    document = read_document(_given(text))
    space = DescribedSpace("yaml-test", document, sample)
    return RuledSpace(space, rules_of(space, document.rules)) if document.rules else space


class TestSignals(SearchSpaceContract):
    """A described space keeps the contract of spaces."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        return _space(SIGNALS, WINDOW)


class TestImages(SearchSpaceContract):
    """With sizes of input, products of sizes, overrides and rules."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        return _space(IMAGES.replace('"blocks.2.mid*": [1, 2]', '"blocks.2.kernel": [3, 7]'), IMAGE)


def test_its_blocks_are_those_of_the_same_space_in_python() -> None:
    """Stem and first stage of `temporal`, whose decisions are named alike but for the stage."""
    described, written = _space(SIGNALS, WINDOW), TemporalSpace(WINDOW)
    for row in uniform(described, 50, np.random.default_rng(0)):
        chosen = {one.name: one.values[i] for one, i in zip(described.decisions, row, strict=True)}
        other = {one.name: one.values[0] for one in written.decisions}
        other |= {"width": chosen["width"], "stage1.depth": chosen["depth1"]}
        other |= {"stage1.dilation": chosen["dilation1"]}
        for layer in (1, 2, 3):
            other[f"stage1.layer{layer}.kernel"] = chosen[f"stage1.{layer}.kernel"]
        blocks = lower(written, parse(written, other))
        mine = lower(described, row)
        stem, layers = mine[0], mine[1:-1]
        assert stem == blocks[0]
        # stage 1 of `temporal` has 32 channels, this one 48: the rest has to be the same
        for one, theirs in zip(layers, blocks[1 : 1 + len(layers)], strict=True):
            assert (one.kernel, one.dilation, one.steps) == (  # type: ignore[attr-defined]  # both separable
                theirs.kernel,  # type: ignore[attr-defined]  # as above
                theirs.dilation,  # type: ignore[attr-defined]  # as above
                theirs.steps,  # type: ignore[attr-defined]  # as above
            )
        assert len(layers) == chosen["depth1"]


def test_sizes_follow_from_what_comes_before() -> None:
    space = _space(IMAGES.replace('"blocks.2.mid*": [1, 2]', '"blocks.2.kernel": [3, 7]'), IMAGE)
    row = parse(
        space,
        {
            "width": 0.5,
            "depth": 2,
            "size.input": 24,
            "blocks.1.kernel": 5,
            "blocks.1.mid_channels": 4,
            "blocks.2.kernel": 7,
            "blocks.2.mid_channels": 2,
        },
    )
    stem, first, second, head = lower(space, row)
    assert stem.inputs["input"] == (1, 3, 24, 24)
    assert first.sizes["mid_channels"] == 4 * 8  # 16 channels at half the width
    assert first.output_shape == (1, 16, 6, 6)
    assert (second.sizes["residual"], second.sizes["kernel"]) == (1, 7)
    assert head.output_shape == (1, 10)


def test_weights_are_shared_where_every_family_shares_them() -> None:
    space = _space(SIGNALS, WINDOW)
    assert space.has_supernet
    assert Supernet(space, seed=0).subnet(space.smallest()) is not None
    plain = _given(SIGNALS)
    plain["layers"][0]["block"] = "temporal_conv"
    traced = _given(IMAGES.replace("block: conv_relu", "block: traced_conv"))
    del traced["rules"], traced["overrides"]
    traced["layers"][0]["sizes"] |= {"groups": 1, "kernel_height": 3, "kernel_width": 3}
    traced["layers"][0]["sizes"] |= {"pad_height": 1, "pad_width": 1}
    del traced["layers"][0]["sizes"]["kernel"], traced["layers"][0]["sizes"]["stride"]
    assert not DescribedSpace("yaml-t", read_document(traced), IMAGE).has_supernet


def test_no_rule_is_violated_among_a_hundred_thousand_samples() -> None:
    space = _space(IMAGES.replace('"blocks.2.mid*": [1, 2]', '"blocks.2.kernel": [3, 7]'), IMAGE)
    rows = uniform(space, 100_000, np.random.default_rng(1))
    names = [one.name for one in space.decisions]
    wide = rows[:, names.index("width")] == 1
    deep = rows[:, names.index("depth")] == 1
    assert wide.any()
    assert deep.any()
    assert not (wide & deep).any()


def test_the_same_document_is_the_same_space() -> None:
    assert space_name(_given(SIGNALS)) == space_name(_given(SIGNALS))
    other = _given(SIGNALS)
    other["decisions"]["depth1"] = [1, 2]
    assert space_name(other) != space_name(_given(SIGNALS))
    turned = _given(SIGNALS)  # its decisions come in another order, and so do its genotypes
    turned["decisions"] = dict(reversed(turned["decisions"].items()))
    assert read_document(turned).decisions == read_document(_given(SIGNALS)).decisions
    assert space_name(turned) != space_name(_given(SIGNALS))
    again = dict(reversed(_given(SIGNALS).items()))  # the order of these says nothing
    assert space_name(again) == space_name(_given(SIGNALS))


WRONG = [
    ("kernels: [3, 5, 9]", "kernels: $looks", r"a circle of references: \$kernels -> \$looks"),
    ("{choice: $kernels}", "{choice: $kernel}", r"\$kernel is not defined; known: \$kernels"),
    ("repeat: depth1", "repeat: depth2", r"layers\[1\].repeat: 'depth2' is neither a number"),
    ("by: width}, kernel", "by: wide}, kernel", "there is no decision 'wide'; known: width"),
    ("block: temporal_head", "block: temporal_tail", r"head.block: unknown block kind"),
    ("kernel: 5", "kernels: 5", "stem.kernels: temporal_conv has no such size; it has"),
    ("kernel: 5", "kernel: 4", "stem: kernel of a block is 4, must be odd"),
    ("kernel: 5", "kernel: five", "'five' is no size; it is a number"),
    ("input: signal", "input: image", "reads image, the data set has signal"),
    ("name: keyword", "name: Key Word", "'Key Word' is not of small letters"),
    ("{from: dilation1}\nlay", "{from: dilation1}\nlay", ""),
    ("depth1: [1, 2, 3]", "depth1: [0, 1]", "numbers from 1 up are needed"),
    ("width: [0.25, 0.5, 0.75, 1.0]", "width: wide", "values are a list of numbers"),
    ("width: [0.25, 0.5, 0.75, 1.0]", "width: [0.5, 0.5]", "the same value twice"),
    ("  - {name: head, block: temporal_head}\n", "", "a network ends with a head"),
    (
        "out_channels: {round: 48, by: width}",
        "out_channels: {choice: [8, 16]}",
        "has to be the same however often it is repeated",
    ),
    ("input: signal", "input: signal\nlayer: []", "layer: not known; known are"),
    ("kernel: 5", "kernel: 1.0e+300", "is no size"),
    ("round: 48", "round: 1.0e+300", "is no number from 0 to 1,000,000"),
    ("width: [0.25, 0.5, 0.75, 1.0]", "width: [1, 1.0e+300]", "none beyond 1,000,000"),
    ("input: signal", "input: signal\ninput_sizes: [20, 0]", "whole numbers from 1 to 4096"),
    ("depth1: [1, 2, 3]", "depth1: [1, 201]", "numbers from 1 up are needed"),
    ("repeat: depth1", "repeat: {choice: [1, 2]}", "is neither a number nor a decision"),
    ("width: [0.25", "unread: [1, 2]\n  width: [0.25", "decisions.unread: no layer reads it"),
    ("dilation1: [1, 2]", "dilation1: [1, 1.5]", "stage1.1.dilation: 1.5 is no whole number"),
    ("name: head", "name: stem", r"layers\[2\].name: 'stem' is the name of another layer"),
    ("name: head", "name: stage1.2", "'stage1.2' is the name of another layer, too"),
    ("depth1: [1, 2, 3]", "depth1: [1, 2, 3]\n  1: [1, 2]\n  '1': [1, 2]", "'1' is there twice"),
    (
        "input: signal\n",
        "input: signal\ninput_sizes: [16, 20]\n",
        "decisions has size.input already",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), [one for one in WRONG if one[2]])
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, said: str) -> None:
    text = SIGNALS.replace(old, new)
    if "size.input" in said:
        text = text.replace("  width:", "  size.input: [8, 20]\n  width:")
    assert text != SIGNALS
    with pytest.raises(InvalidSpec, match=said):
        _space(text, WINDOW)


def test_a_block_that_expands_to_nothing_is_no_block() -> None:
    given = _given(IMAGES)
    del given["layers"][1]["sizes"]["mid_channels"], given["overrides"]
    with pytest.raises(InvalidSpec, match="mid_channels of a block is 0, must be >= 1"):
        DescribedSpace(space_name(given), read_document(given), IMAGE)


def test_kernels_of_pictures_are_odd_too() -> None:
    with pytest.raises(InvalidSpec, match="kernel of a block is 2, must be odd"):
        _space(IMAGES.replace("{choice: [3, 5]}", "{choice: [2, 3]}"), IMAGE)


def test_overrides_come_before_repetitions_are_laid_out() -> None:
    given = {**_given(SIGNALS), "overrides": {"depth1": [1, 5], "stage1.5.kernel": [7]}}
    space = DescribedSpace("yaml-test", read_document(given), WINDOW)
    assert len(lower(space, space.largest())) == 2 + 5
    assert read_document(given).decisions["stage1.5.kernel"] == (7,)
    with pytest.raises(InvalidSpec, match="numbers from 1 up are needed"):
        read_document({**given, "overrides": {"depth1": [0, 1]}})


def test_references_that_multiply_are_stopped() -> None:
    define: dict[str, Any] = {"a0": [1] * 10}
    define |= {f"a{n}": [f"$a{n - 1}"] * 10 for n in range(1, 9)}
    with pytest.raises(InvalidSpec, match="more than 100,000 parts"):
        read_document({**_given(SIGNALS), "define": {**_given(SIGNALS)["define"], **define}})


def test_what_only_absent_layers_read_is_no_choice() -> None:
    given = _given(SIGNALS)
    given["decisions"]["later"] = [3, 5]
    given["layers"][1]["sizes"]["kernel"] = {"from": "later"}
    given["layers"][1]["first"] = {"kernel": 3}
    del given["define"]
    space = DescribedSpace("yaml-test", read_document(given), WINDOW)
    names = [one.name for one in space.decisions]
    row = space.largest()
    row[names.index("depth1")] = 0
    assert space.canonical(row[None])[0, names.index("later")] == 0
    assert space.canonical(space.largest()[None])[0, names.index("later")] == 1


def test_overrides_and_rules_that_do_not_fit_are_named() -> None:
    given = _given(SIGNALS)
    with pytest.raises(InvalidSpec, match=r"overrides\.stage9\.\*: no decision of that name"):
        read_document({**given, "overrides": {"stage9.*": [3]}})
    rule = {"always": {"width": {"at_least": 2}}}
    with pytest.raises(InvalidSpec, match="the rules leave nothing"):
        _space(yaml.safe_dump({**given, "rules": [rule]}), WINDOW)


def _with_head(head: str, sample: Any) -> DescribedSpace:
    given = _given(IMAGES)
    given["layers"][-1] = {"name": "head", "block": head, "sizes": {"mid_channels": 16}}
    return DescribedSpace("yaml-test", read_document(given), sample)


@pytest.mark.parametrize(
    ("head", "sample", "shape"),
    [
        ("mask_head", MaskedImageShape(32, 3, 4, 16), (4, 16, 16)),
        ("box_head", BoxedImageShape(48, 3, 2), (2 + 4, 12 * 12 + 6 * 6)),
    ],
    ids=["masks", "boxes"],
)
def test_a_described_space_ends_in_masks_or_boxes(
    head: str, sample: Any, shape: tuple[int, ...]
) -> None:
    space = _with_head(head, sample)
    supernet = Supernet(space, seed=0)
    for row in (space.smallest(), space.largest()):
        assert lower(space, row)[-1].output_shape == (1, *shape)
        size = input_size(space, row)
        with torch.inference_mode():
            assert supernet(torch.zeros(2, 3, size, size), row).shape == (2, *shape)


@pytest.mark.parametrize(
    ("head", "sample", "said"),
    [
        ("mask_head", IMAGE, "mask_head ends networks for masks or boxes, the data set has image"),
        ("head", MaskedImageShape(32, 3, 4, 16), r"\(4, 16, 16\) is asked for.*: mask_head"),
        ("mask_head", BoxedImageShape(48, 3, 2), "a network ends with a head: box_head"),
    ],
)
def test_a_head_for_something_else_is_refused(head: str, sample: Any, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        _with_head(head, sample)


@pytest.mark.parametrize("width", ["0.0", "-0.5", "1.0e-300"])
def test_a_share_of_nothing_is_no_size(width: str) -> None:
    text = SIGNALS.replace("width: [0.25,", f"width: [{width},")
    with pytest.raises(InvalidSpec, match=r"decisions.width: .* of 32 is no size of stem"):
        read_document(yaml.safe_load(text))


def test_every_value_of_every_layer_is_tried_before_a_space_is_taken() -> None:
    """One even kernel among sixty, at the end of a deep stage, is met by few random networks."""
    given = _given(SIGNALS)
    given["decisions"]["depth1"] = [1, 2, 3, 4, 5, 6, 7, 8]
    given["overrides"] = {"stage1.8.kernel": [*range(3, 121, 2), 4]}
    with pytest.raises(InvalidSpec, match="kernel of a block is 4, must be odd"):
        DescribedSpace(space_name(given), read_document(given), WINDOW)
