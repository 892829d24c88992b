from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lookup_tables.target import Target
from nas_service.compilation.base import Source
from nas_service.compilation.executable import Executable, compare
from nas_service.compilation.ort import OrtConverter
from nas_service.compression.apply import apply
from nas_service.compression.base import PassContext
from nas_service.compression.recipe import Recipe, Step
from nas_service.errors import Unsupported
from nas_service.learning.base import Data, Split
from nas_service.learning.classification.classes import Classification
from nas_service.learning.registry import learning_task
from nas_service.networks.build import build
from nas_service.networks.supernet import Supernet
from nas_service.space.base import ImageShape
from nas_service.space.mbconv import MbconvSpace
from nas_service.training import loop, sandwich
from nas_service.training.device import mixed
from nas_service.training.loop import (
    TrainRecipe,
    batches,
    outputs_of,
    recalibrate,
    score,
    train,
)
from nas_service.training.sandwich import train_supernet
from nas_service.worker import evaluators
from nas_service.worker.evaluators import (
    StandaloneEvaluator,
    SupernetEvaluator,
    validation_part,
)

SPACE = MbconvSpace(ImageShape(8, 1, 2))
RECIPE = TrainRecipe(epochs=3, batch=24, learning_rate=0.05, shift=0)


def test_training_learns_what_can_be_learned(toy: Data) -> None:
    network = build(SPACE, SPACE.smallest(), seed=0)
    train(network, toy, 6, RECIPE, seed=0)
    recalibrate(network, toy, 6)
    assert score(network, toy, toy.validation, 6) > 0.9


def test_balanced_epochs_draw_each_class_as_often(toy: Data) -> None:
    rare = toy.train.targets.clone()
    rows = torch.cat([torch.where(rare == 0)[0], torch.where(rare == 1)[0][:6]])
    few = replace(toy, train=Split(toy.train.inputs[rows], toy.train.targets[rows]))
    drawn = {}
    for balanced in (False, True):
        recipe = replace(RECIPE, balanced=balanced)
        seen = torch.cat([one.targets for one in batches(few, recipe, _generator(3))])
        again = torch.cat([one.targets for one in batches(few, recipe, _generator(3))])
        assert torch.equal(seen, again)
        assert len(seen) == len(rows)
        drawn[balanced] = float((seen == 1).float().mean())
    assert drawn[False] == pytest.approx(6 / len(rows))
    assert drawn[True] == pytest.approx(0.5, abs=0.15)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_trained_in_mixed_precision_learns_and_keeps_its_weights_in_float(
    toy: Data, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """As on a GPU, which no machine of these tests has: the processor's bfloat16 in its place."""
    seen: list[torch.dtype] = []
    loss_of = toy.task.loss

    def noted(outputs: torch.Tensor, *told: object, **more: float) -> torch.Tensor:
        seen.append(outputs.dtype)
        return loss_of(outputs, *told, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(toy.task), "loss", lambda _, *told, **more: noted(*told, **more))
    module = sandwich if shared else loop
    monkeypatch.setattr(module, "mixed", lambda _: torch.autocast("cpu", torch.bfloat16))
    if shared:
        supernet = Supernet(SPACE, seed=0)
        train_supernet(supernet, toy, RECIPE, seed=0)
        evaluator = SupernetEvaluator(supernet, toy)
        (found,) = evaluator.evaluate(SPACE.largest()[None], fidelity=1.0, seed=0)
        weights = supernet.state_dict()
    else:
        network = build(SPACE, SPACE.smallest(), seed=0)
        train(network, toy, 6, RECIPE, seed=0)
        recalibrate(network, toy, 6)
        found, weights = score(network, toy, toy.validation, 6), network.state_dict()
    assert set(seen) == {torch.bfloat16}
    assert found > 0.85
    kept = {one.dtype for one in weights.values() if one.is_floating_point()}
    assert kept == {torch.float32}


def test_the_processor_computes_in_float32() -> None:
    with mixed(torch.device("cpu")):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


def test_training_ends_early_with_the_best_epochs_weights(
    toy: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(SPACE, SPACE.smallest(), seed=0)
    told = iter([0.5, 0.8, 0.7, 0.8, 0.6, 0.9])
    kept: list[dict[str, torch.Tensor]] = []

    def scored(network: torch.nn.Module, *_: object) -> float:
        kept.append({name: one.clone() for name, one in network.state_dict().items()})
        return next(told)

    monkeypatch.setattr(loop, "score", scored)
    train(network, toy, 6, replace(RECIPE, epochs=6, early_stop=3), seed=0)
    # the second epoch was the best, and three after it were no better: the sixth is not trained
    assert len(kept) == 5
    for name, one in network.state_dict().items():
        assert torch.equal(one, kept[1][name])
    assert any(not torch.equal(kept[1][name], kept[4][name]) for name in kept[1])


def test_less_fidelity_looks_at_fewer_images(toy: Data) -> None:
    images = torch.zeros(1000, 1, 8, 8, dtype=torch.uint8)
    many = replace(toy, validation=Split(images, torch.zeros(1000, dtype=torch.long)))
    assert len(validation_part(many)) == 1000
    assert len(validation_part(many, 0.3)) == 300
    assert len(validation_part(many, 0.01)) == 100
    rows = np.stack([SPACE.smallest(), SPACE.largest()])
    evaluator = SupernetEvaluator(Supernet(SPACE, seed=1), toy)
    for fidelity in (0.2, 1.0):
        first, again = (evaluator.evaluate(rows, fidelity=fidelity, seed=s) for s in (0, 1))
        assert np.array_equal(first, again)
        assert np.all((first >= 0) & (first <= 1))


def test_no_better_than_the_commonest_class_is_hopeless() -> None:
    def told(right_of_first: int, right_of_second: int) -> Classification:
        wrong = (60 - right_of_first, 40 - right_of_second)
        return Classification(
            np.array([[right_of_first, wrong[0]], [wrong[1], right_of_second]], dtype=np.int64)
        )

    # two standard errors of .6 on 100 images are .098
    task = learning_task()
    accuracy = task.metric("accuracy")
    assert task.hopeless(accuracy, told(50, 0))
    assert task.hopeless(accuracy, told(60, 9))
    assert not task.hopeless(accuracy, told(60, 10))
    # a guess is at .5 whatever the shares of classes are
    balanced = task.metric("balanced_accuracy")
    assert task.hopeless(balanced, told(60, 0))
    assert not task.hopeless(balanced, told(60, 1))


def test_a_hopeless_run_ends_after_a_third_of_its_epochs(
    toy: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[int] = []

    def counted(network, data, size, recipe, *, seed, on_epoch):
        def noted(epoch: int, epochs: int) -> bool:
            spent.append(epoch)
            return on_epoch(epoch, epochs)

        train(network, data, size, recipe, seed=seed, on_epoch=noted)

    monkeypatch.setattr(evaluators, "train", counted)
    unlearnable = replace(RECIPE, epochs=6, learning_rate=1e-12)
    StandaloneEvaluator(SPACE, toy, unlearnable).evaluate(
        SPACE.smallest()[None], fidelity=1.0, seed=0
    )
    assert spent == [1, 2]
    spent.clear()
    learnable = replace(RECIPE, epochs=6)
    found = StandaloneEvaluator(SPACE, toy, learnable).evaluate(
        SPACE.smallest()[None], fidelity=1.0, seed=0
    )
    assert spent == [1, 2, 3, 4, 5, 6]
    assert found[0] > 0.9


def test_a_supernet_that_was_cut_off_ends_as_if_it_had_not_been(toy: Data, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    whole = Supernet(SPACE, seed=1)
    train_supernet(whole, toy, RECIPE, seed=5)

    class CutOff(Exception):
        pass

    def cut(step: int, steps: int, loss: float) -> None:
        del loss
        if step > steps // 2:
            raise CutOff

    checkpoint = tmp_path / "checkpoint.pt"
    first = Supernet(SPACE, seed=1)
    with pytest.raises(CutOff):
        train_supernet(first, toy, RECIPE, seed=5, checkpoint=checkpoint, on_step=cut)
    resumed = Supernet(SPACE, seed=1)
    train_supernet(resumed, toy, RECIPE, seed=5, checkpoint=checkpoint)
    torch.use_deterministic_algorithms(False)
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[k]) for k, value in resumed.state_dict().items())


def test_a_recipe_makes_files_that_agree_with_the_module(toy: Data, tmp_path: Path) -> None:
    network = build(SPACE, SPACE.largest(), seed=0)
    recipe = Recipe((Step("finetune", {"epochs": 2, "batch": 24}), Step("static_int8")))
    steps: list[str] = []
    before = {k: v.clone() for k, v in network.state_dict().items()}
    made = apply(recipe, network, PassContext(toy, 8, seed=0), tmp_path, on_step=steps.append)
    assert steps == ["finetune", "static_int8"]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    images = toy.prepared(toy.test.inputs[:16], 8).contiguous()
    with torch.no_grad():
        logits = made.network.eval()(images).numpy()
    for precision, path in (("fp32", made.exported), ("int8", made.final)):
        target = Target("here", "onnxruntime", "1", precision)
        compiled = OrtConverter().compile(Source(path), target, tmp_path).path
        parity = compare(
            Executable(compiled, target),
            images.numpy(),
            logits,
            precision,
            learning_task().agreement,
        )
        assert parity.ok, parity
    assert parity.max_abs > 1e-6  # the last, int8, is not the same arithmetic
    wrong = compare(
        Executable(compiled, target), images.numpy(), -logits, "int8", learning_task().agreement
    )
    assert not wrong.ok


def test_a_graph_that_does_not_load_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(Unsupported, match=r"cannot load broken.onnx"):
        OrtConverter().compile(
            Source(tmp_path / "broken.onnx"), Target("h", "onnxruntime", "1", "fp32"), tmp_path
        )


def test_answers_do_not_depend_on_how_many_images_go_at_once(
    toy: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(SPACE, SPACE.smallest(), seed=0)
    images = toy.test.inputs[:7]
    whole = outputs_of(network, toy, images, 8)
    assert whole.shape == (7, 2)
    monkeypatch.setattr("nas_service.training.loop._VALUES", 3 * 8 * 8)  # three at a time
    torch.testing.assert_close(outputs_of(network, toy, images, 8), whole)
    monkeypatch.setattr("nas_service.training.loop._VALUES", 1)
    torch.testing.assert_close(outputs_of(network, toy, images, 8), whole)
