"""Models of several inputs and outputs of other types than pictures, written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

WORDS, WIDTH, HIDDEN, CLASSES = 40, 32, 96, 6


def tagger(path: Path, seed: int = 0) -> Path:
    """Words `(1, ?)`, a state `(1, HIDDEN)` and a gain `()` to scores of each word and a new state.

    Its layers are the products `hidden`, `scores` and `carry`.
    """
    random = np.random.default_rng(seed)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = random.normal(0, 1 / np.sqrt(shape[0]), shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    nodes = [
        helper.make_node("Gather", ["embedding", "words"], ["found"], name="embed"),
        helper.make_node("Mul", ["found", "gain"], ["read"], name="amplify"),
        helper.make_node("MatMul", ["read", "w1"], ["wide"], name="hidden"),
        helper.make_node("Add", ["wide", "state"], ["told"], name="remember"),
        helper.make_node("Relu", ["told"], ["active"], name="relu"),
        helper.make_node("MatMul", ["active", "w2"], ["scores"], name="scores"),
        helper.make_node("ReduceMean", ["active"], ["mean"], axes=[1], keepdims=0, name="mean"),
        helper.make_node("MatMul", ["mean", "w3"], ["mixed"], name="carry"),
        helper.make_node("Tanh", ["mixed"], ["next_state"], name="tanh"),
    ]
    graph = helper.make_graph(
        nodes,
        "tagger",
        [
            helper.make_tensor_value_info("words", TensorProto.INT64, [1, "length"]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, HIDDEN]),
            helper.make_tensor_value_info("gain", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, "length", CLASSES]),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, [1, HIDDEN]),
        ],
        [
            weights("embedding", WORDS, WIDTH),
            weights("w1", WIDTH, HIDDEN),
            weights("w2", HIDDEN, CLASSES),
            weights("w3", HIDDEN, HIDDEN),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


class Tagger(nn.Module):
    """The same as a torch network, with random weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.hidden = nn.Linear(WIDTH, HIDDEN)
        self.scores = nn.Linear(HIDDEN, CLASSES)
        self.carry = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, words: Tensor, state: Tensor, gain: Tensor) -> dict[str, Tensor]:
        active = torch.relu(self.hidden(self.embedding(words) * gain) + state)
        return {
            "scores": self.scores(active),
            "next_state": torch.tanh(self.carry(active.mean(dim=1))),
        }


def tagger_program(path: Path) -> Path:
    """Exported with an open number of words."""
    torch.manual_seed(0)
    example = (torch.zeros(1, 9, dtype=torch.int64), torch.zeros(1, HIDDEN), torch.tensor(1.0))
    open_words = {"words": {1: torch.export.Dim.DYNAMIC}, "state": None, "gain": None}
    program = torch.export.export(Tagger().eval(), example, dynamic_shapes=open_words)
    torch.export.save(program, path)
    return path


def sentences(path: Path, n: int, length: int, seed: int) -> Path:
    """Samples of words and states."""
    random = np.random.default_rng(seed)
    np.savez(
        path,
        words=random.integers(0, WORDS, (n, length)),
        state=random.normal(0, 0.3, (n, HIDDEN)).astype(np.float32),
        gain=np.array(1.5),
    )
    return path
