"""Every pass keeps the contract and does what its name says, on a trained network."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from nas_service.compression.apply import apply
from nas_service.compression.base import PassContext, TorchPass
from nas_service.compression.factorization import CpPass, SvdPass, TuckerPass
from nas_service.compression.masks import bake, prunable_layers, sparsity_of
from nas_service.compression.pruning import n_of_m
from nas_service.compression.quantization_aware import RoundedWeight, folded
from nas_service.compression.recipe import Recipe, Step
from nas_service.compression.testing import TorchPassContract
from nas_service.compression.weight_sharing import entropy_coded, pack
from nas_service.errors import InvalidSpec, Unsupported
from nas_service.networks.build import count_macs, count_parameters
from nas_service.networks.export import export
from nas_service.plugins import TORCH_PASSES, load
from nas_service.training.data import Data
from nas_service.training.loop import accuracy

ContextOf = Callable[..., PassContext]
SHORT = {"epochs": 1}
OPTIONS: dict[str, dict[str, object]] = {
    "finetune": SHORT,
    "distill": SHORT,
    "distill_ensemble": {**SHORT, "members": 2},
    "distill_features": SHORT,
    "qat": SHORT,
    "channels": {"macs": 0.6, "round_to": 1},
    "width": {"keep": 0.75},
}
PASSES = (
    *("finetune", "distill", "distill_ensemble", "distill_features", "qat"),
    *(
        "magnitude",
        "n_of_m",
        "snip",
        "synflow",
        "channels",
        "width",
        "svd",
        "tucker",
        "cp",
        "cluster",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSES)
class TestPasses(TorchPassContract):
    @pytest.fixture
    def made(self, name: str) -> TorchPass:
        found: TorchPass = load(TORCH_PASSES, name)()
        return found

    @pytest.fixture
    def network(self, trained: nn.Module, name: str) -> nn.Module:
        return _spatial() if name in {"tucker", "cp"} else trained

    @pytest.fixture
    def context(self, context_of: ContextOf, name: str) -> PassContext:
        return context_of(name, **OPTIONS.get(name, {}))


def _spatial() -> nn.Module:
    """A network whose convolutions are not depthwise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 4),
        ).eval()


def test_magnitude_takes_the_smallest_of_all_layers(
    trained: nn.Module, context_of: ContextOf
) -> None:
    pruned = load(TORCH_PASSES, "magnitude")().apply(trained, context_of("magnitude", sparsity=0.6))
    before = torch.cat([m.weight.detach().abs().flatten() for m in prunable_layers(trained)])
    after = torch.cat([m.weight.detach().abs().flatten() for m in prunable_layers(bake(pruned))])
    gone = after == 0
    assert float(gone.float().mean()) == pytest.approx(0.6, abs=0.01)
    # nearly everything that went is smaller than everything that stayed (each layer keeps some)
    assert float((before[gone] <= before[~gone].min()).float().mean()) > 0.98


def test_masks_hold_through_training(trained: nn.Module, context_of: ContextOf, data: Data) -> None:
    context = context_of("magnitude", sparsity=0.5)
    pruned = load(TORCH_PASSES, "magnitude")().apply(trained, context)
    tuned = load(TORCH_PASSES, "finetune")().apply(pruned, context_of("finetune", epochs=2))
    assert sparsity_of(bake(tuned)) == pytest.approx(sparsity_of(bake(pruned)), abs=1e-6)
    weights = [bake(n).state_dict() for n in (pruned, tuned)]
    assert any(not torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert accuracy(tuned, data, data.test, context.size) > 0.9


def test_two_of_four_by_hand() -> None:
    weight = torch.tensor([[1.0, -3.0, 2.0, 0.5, 0.1, 0.2, -0.4, 0.3]])
    assert n_of_m(weight, 2, 4).int().tolist() == [[0, 1, 1, 0, 0, 0, 1, 1]]
    convolution = weight.reshape(1, 8, 1, 1).repeat(2, 1, 3, 3)
    kept = n_of_m(convolution, 2, 4)
    assert kept.shape == convolution.shape
    assert (kept.reshape(2, 2, 4, 3, 3).sum(2) == 2).all()


@pytest.mark.parametrize("name", ["snip", "synflow"])
def test_pruned_at_initialisation_it_still_learns(
    name: str, trained: nn.Module, context_of: ContextOf, data: Data
) -> None:
    fresh = load(TORCH_PASSES, name)().apply(trained, context_of(name, sparsity=0.5))
    assert accuracy(fresh, data, data.test, 16) < 0.6  # nothing of the training is left
    learned = load(TORCH_PASSES, "finetune")().apply(
        fresh, context_of("finetune", epochs=6, learning_rate=0.1)
    )
    assert accuracy(learned, data, data.test, context_of(name).size) > 0.8
    assert sparsity_of(bake(learned)) > 0.4


def test_channels_brings_the_macs_down(trained: nn.Module, context_of: ContextOf) -> None:
    context = context_of("channels", macs=0.5, round_to=1)
    image = torch.zeros(1, 1, context.size, context.size)
    smaller = load(TORCH_PASSES, "channels")().apply(trained, context)
    assert count_macs(smaller, image) <= 0.55 * count_macs(trained, image)
    assert count_parameters(smaller) < count_parameters(trained)


@pytest.mark.parametrize(("make", "share"), [(TuckerPass, 0.5), (CpPass, 0.4), (SvdPass, 0.5)])
def test_factors_cost_what_was_allowed(
    make: type[TorchPass], share: float, context_of: ContextOf
) -> None:
    name = {TuckerPass: "tucker", CpPass: "cp", SvdPass: "svd"}[make]
    network = _spatial()
    if make is SvdPass:
        network = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 4))
    thin = make().apply(network, context_of(name, parameters=share))
    assert count_parameters(thin) <= (share + 0.15) * count_parameters(network)


@pytest.mark.parametrize("make", [TuckerPass, SvdPass])
def test_what_has_a_low_rank_is_kept_exactly(make: type[TorchPass], context_of: ContextOf) -> None:
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(32, 4, generator=generator)
    right = torch.randn(4, 32, generator=generator)
    if make is SvdPass:
        layer: nn.Module = nn.Linear(32, 32)
        layer.weight.data = left @ right
    else:
        core = torch.randn(4, 4, 3, 3, generator=generator)
        layer = nn.Conv2d(32, 32, 3, padding=1)
        layer.weight.data = torch.einsum("or,rskl,si->oikl", left, core, right)
    network = nn.Sequential(layer)
    name = "svd" if make is SvdPass else "tucker"
    thin = make().apply(network, context_of(name, parameters=0.6))
    x = torch.randn((5, 32) if make is SvdPass else (5, 32, 6, 6), generator=generator)
    torch.testing.assert_close(thin(x), network(x), rtol=1e-3, atol=1e-3)
    assert count_parameters(thin) < count_parameters(network)


def test_a_network_without_such_layers_is_refused(context_of: ContextOf) -> None:
    with pytest.raises(Unsupported, match="no layer"):
        TuckerPass().apply(nn.Sequential(nn.Linear(4, 4)), context_of("tucker"))


def test_shared_weights_pack_into_a_quarter(
    trained: nn.Module, context_of: ContextOf, tmp_path: Path
) -> None:
    context = context_of("cluster", clusters=16)
    shared = load(TORCH_PASSES, "cluster")().apply(trained, context)
    for layer in prunable_layers(shared):
        if layer.weight.numel() >= 256:
            assert len(layer.weight.unique()) <= 16
    plain, packed, coded = (tmp_path / name for name in ("m.onnx", "p.onnx", "p.onnx.xz"))
    export(shared, plain, channels=1, size=context.size)
    pack(plain, packed)
    entropy_coded(packed, coded)
    assert lzma.decompress(coded.read_bytes()) == packed.read_bytes()
    image = np.random.default_rng(0).standard_normal((1, 1, context.size, context.size))
    answers = [
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
            None, {"input": image.astype(np.float32)}
        )[0]
        for path in (plain, packed)
    ]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-5)
    weights = {t.name: t for t in onnx.load(packed).graph.initializer}
    assert any(t.data_type == onnx.TensorProto.UINT8 for t in weights.values())


def test_folding_changes_no_answer(trained: nn.Module, data: Data) -> None:
    images = data.prepared(data.test.images[:8], 16)
    thin = folded(trained)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in thin.modules())
    with torch.no_grad():
        torch.testing.assert_close(thin(images), trained(images), rtol=1e-4, atol=1e-4)


def test_weights_are_rounded_to_their_channels_scale() -> None:
    weight = torch.tensor([[127.0, -63.6, 0.4], [1.27, 0.004, 0.0]])
    expected = torch.tensor([[127.0, -64.0, 0.0], [1.27, 0.0, 0.0]])
    torch.testing.assert_close(RoundedWeight()(weight), expected)


@pytest.mark.slow
def test_training_for_integers_recovers_what_rounding_costs(
    trained: nn.Module, context_of: ContextOf, data: Data
) -> None:
    context = context_of("qat", epochs=2)
    taught = load(TORCH_PASSES, "qat")().apply(trained, context)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in taught.modules())
    assert accuracy(taught, data, data.test, context.size) > 0.9


def test_teachers_that_are_missing_are_named(trained: nn.Module, context_of: ContextOf) -> None:
    lonely = PassContext(
        context_of("distill").data, 16, seed=0, options=context_of("distill").options
    )
    with pytest.raises(Unsupported, match="pass distill needs a teacher"):
        load(TORCH_PASSES, "distill")().apply(trained, lonely)


def test_a_cached_teacher_is_asked_once_an_image(trained: nn.Module, context_of: ContextOf) -> None:
    asked: list[int] = []
    given = context_of("distill", epochs=3, answers="cached")
    teacher = given.teacher
    assert teacher is not None

    def counting(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return teacher(images)

    context = PassContext(given.data, given.size, seed=5, teacher=counting, options=given.options)
    load(TORCH_PASSES, "distill")().apply(trained, context)
    assert sum(asked) == len(given.data.train)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["static_int8", "mixed_int8", "dynamic_int8", "fp16"])
def test_passes_on_graphs_keep_the_network(
    name: str, trained: nn.Module, context_of: ContextOf, data: Data, tmp_path: Path
) -> None:
    context = context_of(name)
    made = apply(Recipe((Step(name),)), trained, context, tmp_path, channels=1)
    assert made.exported.read_bytes() != made.final.read_bytes()
    if name != "mixed_int8":
        assert made.final.stat().st_size < made.exported.stat().st_size * 1.6
    session = ort.InferenceSession(str(made.final), providers=["CPUExecutionProvider"])
    images = data.prepared(data.test.images[:100], context.size).contiguous().numpy()
    answers = [session.run(None, {"input": images[i : i + 1]})[0][0] for i in range(100)]
    right = (np.array(answers).argmax(1) == data.test.labels[:100].numpy()).mean()
    assert right > 0.85


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        (["prune"], "no pass 'prune'; known: "),
        (["static_int8", "finetune"], "step 2: 'finetune' works on torch modules"),
        (["magnitude", "channels"], "step 2: channels cannot follow magnitude"),
        (["finetune", "snip"], "step 2: snip cannot follow finetune"),
        (["cluster", "finetune"], "step 2: finetune cannot follow cluster"),
        (["qat", "magnitude"], "step 2: magnitude cannot follow qat"),
        (["static_int8", "fp16"], "a graph is quantised once"),
        ([{"finetune": {"epoch": 3}}], "no option 'epoch'; it has epochs, batch"),
        ([{"magnitude": {"sparsity": 1.5}}], r"sparsity has to be 0.01 to 0.99, not 1.5"),
        ([{"magnitude": {"sparsity": float("nan")}}], "sparsity has to be"),
        ([{"finetune": {"epochs": 2.5}}], "epochs is a whole number, not 2.5"),
        ([{"finetune": {"flip": "yes"}}], "flip is true or false"),
        ([{"distill": {"answers": "soon"}}], "answers is one of live, cached"),
        ([{"n_of_m": {"n": 4, "m": 4}}], "n has to be below m"),
        ([{"finetune": {}, "qat": {}}], "step 1: a name, or one name"),
        ([{"finetune": 3}], "options of finetune are names with values"),
    ],
)
def test_a_recipe_that_cannot_run_is_refused_before_it_does(
    steps: list[str | dict[str, object]], named: str
) -> None:
    with pytest.raises(InvalidSpec, match=named):
        Recipe.of(steps)


def test_a_recipe_reads_back() -> None:
    recipe = Recipe.of(["magnitude", {"finetune": {"epochs": 2}}, "static_int8"])
    assert Recipe.of(recipe.as_list()) == recipe
    assert recipe.as_list()[0] == {"magnitude": {"sparsity": 0.5}}
    assert [step.name for step in recipe.onnx_steps] == ["static_int8"]
