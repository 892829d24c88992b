"""Operators of exported programs by what they cost: which family of blocks stands for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lookup_tables.blocks.traced_pointwise import EXPONENTIAL, GATE, MOVE, SIMPLE, SOFTMAX
from nas_service.networks.elastic.layers import ATEN

JOINED = {ATEN.relu.default, ATEN.relu6.default, ATEN.hardtanh.default}
FREE = {
    ATEN.view.default,
    ATEN.reshape.default,
    ATEN._unsafe_view.default,
    ATEN.flatten.using_ints,
    ATEN.unflatten.int,
    ATEN.squeeze.dim,
    ATEN.squeeze.dims,
    ATEN.squeeze.default,
    ATEN.unsqueeze.default,
    ATEN.dropout.default,
    ATEN.feature_dropout.default,
    ATEN.detach.default,
    ATEN.alias.default,
    ATEN.expand.default,
    ATEN.select.int,
    ATEN.contiguous.default,
    ATEN.clone.default,
    ATEN.to.dtype,
    ATEN.slice.Tensor,
    ATEN.narrow.default,
}
PRODUCTS = {ATEN.matmul.default, ATEN.bmm.default, ATEN.mm.default}
LARGEST = {ATEN.max_pool2d.default, ATEN.max_pool1d.default, ATEN.adaptive_max_pool2d.default}
POOLS = {
    *LARGEST,
    ATEN.avg_pool2d.default,
    ATEN.avg_pool1d.default,
    ATEN.adaptive_avg_pool2d.default,
    ATEN.adaptive_avg_pool1d.default,
    ATEN.mean.dim,
}
RECURRENT: Mapping[object, int] = {ATEN.gru.input: 3, ATEN.lstm.input: 4}
FORMS: Mapping[Callable[..., object] | str, int] = {
    **dict.fromkeys(
        (
            ATEN.relu.default,
            ATEN.relu6.default,
            ATEN.hardtanh.default,
            ATEN.leaky_relu.default,
            ATEN.clamp.default,
            ATEN.add.Tensor,
            ATEN.sub.Tensor,
            ATEN.mul.Tensor,
            ATEN.div.Tensor,
            ATEN.mul.Scalar,
            ATEN.neg.default,
        ),
        SIMPLE,
    ),
    ATEN.hardsigmoid.default: GATE,
    ATEN.hardswish.default: GATE,
    **dict.fromkeys(
        (
            ATEN.sigmoid.default,
            ATEN.silu.default,
            ATEN.gelu.default,
            ATEN.tanh.default,
            ATEN.elu.default,
            ATEN.softplus.default,
            ATEN.mish.default,
            ATEN.exp.default,
            ATEN.sqrt.default,
            ATEN.pow.Tensor_Scalar,
        ),
        EXPONENTIAL,
    ),
    ATEN.softmax.int: SOFTMAX,
    ATEN.log_softmax.int: SOFTMAX,
    **dict.fromkeys(
        (
            ATEN.cat.default,
            ATEN.permute.default,
            ATEN.transpose.int,
            ATEN.roll.default,
            ATEN.pad.default,
            ATEN.upsample_nearest2d.vec,
            ATEN.upsample_bilinear2d.vec,
            ATEN.stack.default,
            ATEN.channel_shuffle.default,
        ),
        MOVE,
    ),
}
