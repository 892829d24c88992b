"""Fine-tuning, on targets alone or with a teacher: its answers, an ensemble's, its features."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_service.compression.base import PassContext, Teacher
from nas_service.errors import Unsupported
from nas_service.learning.augmentations import NONE
from nas_service.training.device import device_of
from nas_service.training.loop import Batch, Objective, TrainRecipe, recalibrate, train

_CACHED_AT_ONCE = 250


def recipe_of(context: PassContext) -> TrainRecipe:
    """The training recipe that a pass's options ask for."""
    options = context.options
    return TrainRecipe(
        epochs=int(options.get("epochs", 3)),
        batch=int(options.get("batch", 32)),
        learning_rate=float(options.get("learning_rate", 0.02)),
        flip=bool(options.get("flip", False)),
        balanced=bool(options.get("balanced", False)),
        early_stop=int(options.get("early_stop", 0)),
        find_rate=bool(options.get("find_rate", False)),
        augment="" if options.get("augment", NONE) == NONE else str(options["augment"]),
        label_smoothing=0.05,
        distillation=0.5 if context.teacher is not None else 0.0,
    )


class FinetunePass:
    """Train a copy for a few epochs; with a teacher, half on its answers (Hinton et al., 2015)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The fine-tuned copy."""
        tuned = copy.deepcopy(network)
        train(
            tuned,
            context.data,
            context.size,
            recipe_of(context),
            seed=context.seed,
            teacher=context.teacher,
        )
        recalibrate(tuned, context.data, context.size)
        return tuned


class DistillPass:
    """Learn from a teacher's softened answers.

    With `answers: cached` the teacher sees every training sample once, as it is, and where training
    mirrors them once mirrored; its answers stand for all of a sample's shifted views and epochs:
    "flash" distillation, whose teacher costs one or two passes over the data instead of one an
    epoch.
    """

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The taught copy."""
        teacher = require_teacher(context, "distill")
        if context.options["answers"] == "cached":
            return _taught(network, context, _from_cache(teacher, context))
        return _taught(network, context, lambda batch: teacher(batch.inputs))


class DistillEnsemblePass:
    """Learn from the mean answer of several teachers (You et al., 2017).

    The first is the teacher; each further one is the teacher's network, trained on from it with
    another order of samples and other augmentation.
    """

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The taught copy."""
        teacher = require_teacher(context, "distill_ensemble")
        if context.teacher_network is None:
            raise Unsupported("pass distill_ensemble needs the teacher's network")
        members = [teacher]
        for number in range(1, int(context.options["members"])):
            member = copy.deepcopy(context.teacher_network)
            seed = context.seed + 1000 * number
            train(member, context.data, context.size, recipe_of(context), seed=seed)
            recalibrate(member, context.data, context.size)
            members.append(answering(member, context))
        return _taught(network, context, lambda batch: _mean_answer(members, context, batch.inputs))


class DistillFeaturesPass:
    """Learn the teacher's answers and what its last layer reads, by a linear map (FitNets).

    Romero et al., 2015.
    """

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The taught copy."""
        teacher = require_teacher(context, "distill_features")
        if context.teacher_network is None:
            raise Unsupported("pass distill_features needs the teacher's network")
        student = copy.deepcopy(network)
        theirs, ours = _Read(context.teacher_network), _Read(student)
        try:
            sample = context.data.prepared(context.data.train.inputs[:2], context.size)
            with torch.no_grad():
                for one in (context.teacher_network, student):
                    one.eval()(sample.to(device_of(one)))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(context.seed)
                taught = _Mapped(student, ours.value.shape[1], theirs.value.shape[1])
            answers = _objective(context, lambda batch: teacher(batch.inputs))
            weight = float(context.options["feature_weight"])

            def objective(model: nn.Module, prepared: Tensor, batch: Batch) -> Tensor:
                loss = answers(model, prepared, batch)  # runs both networks: both were read
                mapped = taught.map(ours.value)
                wanted = theirs.value.detach()
                scale = wanted.pow(2).mean().clamp_min(1e-9)
                return loss + weight * functional.mse_loss(mapped, wanted) / scale

            train(
                taught,
                context.data,
                context.size,
                recipe_of(context),
                seed=context.seed,
                objective=objective,
            )
        finally:
            theirs.end()
            ours.end()
        recalibrate(student, context.data, context.size)
        return student


def require_teacher(context: PassContext, name: str) -> Teacher:
    """The teacher of a context, or `Unsupported`."""
    if context.teacher is None:
        raise Unsupported(f"pass {name} needs a teacher, and there is none")
    return context.teacher


def answering(network: nn.Module, context: PassContext) -> Teacher:
    """A network as a teacher of stored samples; it moves to where they are."""
    network.eval()

    def teacher(inputs: Tensor) -> Tensor:
        network.to(inputs.device)
        with torch.no_grad():
            answers: Tensor = network(context.data.prepared(inputs, context.size))
        return answers

    return teacher


def _from_cache(teacher: Teacher, context: PassContext) -> Callable[[Batch], Tensor]:
    """Answers looked up by a sample's row and whether it was mirrored."""
    inputs = context.data.train.inputs.to(context.data.device)
    plain = _answers(teacher, inputs)
    if not context.options.get("flip", False):
        return lambda batch: plain[batch.rows]
    both = torch.stack([plain, _answers(teacher, context.data.mirrored(inputs))])
    return lambda batch: both[batch.mirrored.long(), batch.rows]


def _answers(teacher: Teacher, inputs: Tensor) -> Tensor:
    """The teacher's outputs of every sample: `(n, ...)`."""
    parts = [
        teacher(inputs[start : start + _CACHED_AT_ONCE])
        for start in range(0, len(inputs), _CACHED_AT_ONCE)
    ]
    return torch.cat(parts)


def _mean_answer(members: list[Teacher], context: PassContext, inputs: Tensor) -> Tensor:
    """What the ensemble answers."""
    answers = torch.stack([member(inputs) for member in members])
    return context.data.task.mean_answer(answers)


def _objective(context: PassContext, answers: Callable[[Batch], Tensor]) -> Objective:
    task = context.data.task
    weight = float(context.options["weight"])
    temperature = float(context.options["temperature"])

    def objective(model: nn.Module, prepared: Tensor, batch: Batch) -> Tensor:
        outputs = model(prepared)
        hard = task.loss(outputs, batch.targets)
        soft = task.distillation_loss(outputs, answers(batch), temperature)
        return (1.0 - weight) * hard + weight * soft

    return objective


def _taught(
    network: nn.Module, context: PassContext, answers: Callable[[Batch], Tensor]
) -> nn.Module:
    student = copy.deepcopy(network)
    train(
        student,
        context.data,
        context.size,
        recipe_of(context),
        seed=context.seed,
        objective=_objective(context, answers),
    )
    recalibrate(student, context.data, context.size)
    return student


class _Mapped(nn.Module):
    """A student, and the map from what it reads to what its teacher does, to be trained with it."""

    def __init__(self, student: nn.Module, ours: int, theirs: int) -> None:
        super().__init__()
        self.student = student
        self.map = nn.Linear(ours, theirs)

    def forward(self, x: Tensor) -> Tensor:
        """The student's answer."""
        answer: Tensor = self.student(x)
        return answer


class _Read:
    """What a network's last linear layer reads, kept at every run."""

    def __init__(self, network: nn.Module) -> None:
        layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
        if not layers:
            raise Unsupported(
                "pass distill_features compares what the last linear layer reads; this network has "
                "none",
                field="recipe",
            )
        last = layers[-1]
        self.value = torch.empty(0)
        self._hook = last.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.value = inputs[0]

    def end(self) -> None:
        """Read no more."""
        self._hook.remove()
