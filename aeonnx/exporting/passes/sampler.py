"""The sampler: a graph from (seed, index) to random latents and their decoded images.

    seed int64 [1], index int64 [batch] -> z float32 [batch, latent], image uint8 [batch, C, H, W]

The latent may also be [batch, channels, ...]. The decoder's other inputs, such as a label, are
inputs of the sampler too. Where images can have any size, one input more has the size of the
images, and its values are not used: canvas uint8 [batch, height, width].

The latents equal those of `aeonnx.runtime.prior`: counter-based random numbers (Philox) in integer
operators, then Box-Muller and the prior in float64. The decoder's graph follows. ONNX's random
operators are not used, because their values depend on the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx
import onnx.compose
import onnx.helper
import onnx.numpy_helper
import onnx.parser
from onnx import ModelProto, ValueInfoProto

from aeonnx.bundle import BATCH, TensorSpec, axes_of
from aeonnx.exporting.opsets import SAMPLER_OPSET
from aeonnx.exporting.passes.canvas import sizes_of_canvas
from aeonnx.exporting.passes.pixels import convert_output_to_pixels
from aeonnx.runtime.prior import MULTIPLIERS, ROUNDS, WEYL, WORDS, Distribution, Gaussian, Mixture
from aeonnx.runtime.session import Array

__all__ = ["sampler_graph", "sampler_specs"]

_PREFIX = "decoder_"
_CANVAS = "canvas"


def sampler_specs(
    inputs: Sequence[TensorSpec], reconstruction: TensorSpec
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Input and output specs of the sampler.

    Args:
        inputs: the decoder's; the first is the latent, float32 [batch, latent] or [batch, channels,
            ...].
        reconstruction: the decoder's output, float32 [batch, C, H, W]; it has all axes of the
            latent.
    """
    z, *others = inputs
    if _is_sized(z):
        shape, what = (reconstruction.shape[0], *reconstruction.shape[2:]), "of the images' size"
        others = [TensorSpec(_CANVAS, shape, "uint8", (0.0, 255.0), what, "canvas"), *others]
    highest = float(2**63 - 1)
    bounds = 0.0, highest
    seed = TensorSpec("seed", (1,), "int64", bounds, "which sequence of images", "seed")
    rows = z.shape[:1]
    index = TensorSpec("index", rows, "int64", bounds, "positions in the sequence", "index")
    image = TensorSpec("image", reconstruction.shape, "uint8", (0.0, 255.0), "pixels", "image")
    return (seed, index, *others), (z, image)


def _is_sized(latent: TensorSpec) -> bool:
    return any(axis.axis != BATCH for axis in axes_of([latent.shape]))


def sampler_graph(
    decoder: ModelProto, prior: Distribution, latent: TensorSpec, image: TensorSpec
) -> ModelProto:
    """A graph that draws latents from the prior and decodes them to uint8 images.

    Args:
        decoder: a graph whose first input is the latent, not changed.
        prior: distribution of the latent.
        latent: spec of the first input.
        image: spec of the decoder's images, which has a range.
    """
    z, reconstruction = decoder.graph.input[0], decoder.graph.output[0]
    drawn = _prior_graph(prior, latent, image)
    _set_sizes(drawn, z, reconstruction)
    drawn.ir_version = decoder.ir_version
    drawn.opset_import[0].CopyFrom(decoder.opset_import[0])
    merged = onnx.compose.merge_models(
        drawn,
        onnx.compose.add_prefix(decoder, _PREFIX),
        io_map=[(z.name, _PREFIX + z.name)],
        outputs=[z.name, _PREFIX + reconstruction.name],
        producer_name=decoder.producer_name,
    )
    del merged.graph.value_info[:]
    del merged.opset_import[1:]  # a duplicate of the first
    assert image.range is not None  # noqa: S101  # the plan has no sampler without a range
    convert_output_to_pixels(merged, _PREFIX + reconstruction.name, "image", image.range)
    for value in decoder.graph.input[1:]:
        _rename_input(merged, _PREFIX + value.name, value.name)
    return merged


def _set_sizes(drawn: ModelProto, z: ValueInfoProto, reconstruction: ValueInfoProto) -> None:
    """Set the sizes of the latent, the indices and the canvas as the decoder's graph has them."""
    sizes = reconstruction.type.tensor_type.shape.dim
    drawn.graph.output[0].CopyFrom(z)
    for value in drawn.graph.input[1:]:
        wanted = (sizes[0], *(sizes[2:] if value.name == _CANVAS else ()))
        del value.type.tensor_type.shape.dim[:]
        value.type.tensor_type.shape.dim.extend(wanted)


def _rename_input(model: ModelProto, name: str, new: str) -> None:
    for value in model.graph.input:
        if value.name == name:
            value.name = new
    for node in model.graph.node:
        node.input[:] = [new if item == name else item for item in node.input]


def _prior_graph(prior: Distribution, latent: TensorSpec, image: TensorSpec) -> ModelProto:
    """A graph from seed, index, and canvas where sizes vary, to the latent."""
    sizes = latent.shape[1:]
    canvas = _is_sized(latent)
    lines, constants = (
        sizes_of_canvas(sizes, image.shape[2:], _CANVAS, WORDS)
        if canvas
        else _fixed_sizes([int(size) for size in sizes], prior)
    )
    lines += _philox_lines() + _normal_lines()
    constants |= {
        "low": np.asarray(np.uint64(0xFFFFFFFF)),
        "thirty_two": np.asarray(np.uint64(32)),
        "m0": np.asarray(np.uint64(MULTIPLIERS[0])),
        "m1": np.asarray(np.uint64(MULTIPLIERS[1])),
        "w0": np.asarray(np.uint64(WEYL[0])),
        "w1": np.asarray(np.uint64(WEYL[1])),
        "last": np.array([1]),
        "third": np.array([2]),
        "flat": np.array([0, -1]),
        "from": np.array([0]),
        "half": np.asarray(np.float64(0.5)),
        "unit": np.asarray(np.float64(2.0**-32)),
        "minus_two": np.asarray(np.float64(-2.0)),
        "quarter": np.asarray(np.float64(0.25)),
        "two_pi": np.asarray(np.float64(2.0 * np.pi)),
    }
    more, others, value = (
        _mixture_lines(prior)
        if isinstance(prior, Mixture)
        else _gaussian_lines(prior, int(sizes[0]), spatial=len(sizes) > 1)
    )
    lines += [*more, f"{latent.name} = Cast <to = {onnx.TensorProto.FLOAT}> ({value})"]
    constants |= others
    taken = f", uint8[batch, height, width] {_CANVAS}" if canvas else ""
    text = (
        f'<ir_version: 8, opset_import: ["" : {SAMPLER_OPSET}]>\n'
        f"prior (int64[1] seed, int64[batch] index{taken}) => (float[batch] {latent.name}) {{\n"
        + "\n".join(lines)
        + "\n}"
    )
    model: ModelProto = onnx.parser.parse_model(text)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in constants.items()
    )
    for node in model.graph.node:  # profiles find nodes by name
        node.name = node.output[0]
    return model


def _fixed_sizes(sizes: list[int], prior: Distribution) -> tuple[list[str], dict[str, Array]]:
    """Constants of a latent of one size: see `sizes_of_canvas`."""
    size = prod(sizes)
    blocks = -(-size // WORDS) + isinstance(prior, Mixture)  # one more to draw the component
    constants: dict[str, Array] = {
        "block": np.arange(blocks, dtype=np.uint64)[None],
        "to": np.array([size]),
    }
    if len(sizes) > 1:
        constants["shape"] = np.array([0, *sizes])
    return [], constants


def _mixture_lines(prior: Mixture) -> tuple[list[str], dict[str, Array], str]:
    """Nodes from n and the uniform words u0 to a sample: lines, constants, name of the result."""
    k, channels = prior.mean.shape
    constants: dict[str, Array] = {
        "upper": prior.upper[None],
        "numbers": np.arange(k)[None],
        "end": np.array([2**31 - 1]),
        "before": np.array([-1]),
        "means": prior.mean[None],
    }
    # The samples of all components side by side, of which one is kept.
    if prior.factor.ndim == 3:
        constants["factors"] = np.ascontiguousarray(prior.factor.reshape(-1, channels).T)
        constants["by_component"] = np.array([-1, k, channels])
        every = ["products = MatMul (n, factors)", "every = Reshape (products, by_component)"]
    else:
        constants["factors"] = prior.factor[None]
        every = ["single = Unsqueeze (n, last)", "every = Mul (single, factors)"]
    lines = [
        "choosing = Slice (u0, before, end, last)",
        "above = GreaterOrEqual (choosing, upper)",
        f"counted_up = Cast <to = {onnx.TensorProto.INT64}> (above)",
        "component = ReduceSum <keepdims = 1> (counted_up, last)",
        "chosen = Equal (numbers, component)",
        f"share = Cast <to = {onnx.TensorProto.DOUBLE}> (chosen)",
        "shares = Unsqueeze (share, third)",
        *every,
        "moved = Add (every, means)",
        "kept = Mul (moved, shares)",
        "mixed = ReduceSum <keepdims = 0> (kept, last)",
    ]
    return lines, constants, "mixed"


def _gaussian_lines(
    prior: Gaussian, channels: int, *, spatial: bool
) -> tuple[list[str], dict[str, Array], str]:
    """Nodes from n to a sample: lines, constants, name of the result."""
    lines: list[str] = []
    constants: dict[str, Array] = {}
    value = "n"
    turned = spatial and (prior.factor is not None or prior.mean is not None)
    if turned:
        constants["by_channel"] = np.array([0, channels, -1])
        lines += [
            "channelled = Reshape (n, by_channel)",
            "turned = Transpose <perm = [0, 2, 1]> (channelled)",
        ]
        value = "turned"
    if prior.factor is not None:
        constants["factor"] = np.ascontiguousarray(prior.factor.T)
        operator = "MatMul" if prior.factor.ndim == 2 else "Mul"
        lines.append(f"scaled = {operator} ({value}, factor)")
        value = "scaled"
    if prior.mean is not None:
        constants["mean"] = prior.mean
        lines.append(f"shifted = Add ({value}, mean)")
        value = "shifted"
    if turned:
        lines.append(f"back = Transpose <perm = [0, 2, 1]> ({value})")
        value = "back"
    if spatial:
        lines.append(f"shaped = Reshape ({value}, shape)")
        value = "shaped"
    return lines, constants, value


def _philox_lines() -> list[str]:
    """Nodes of Philox: four words [batch, blocks] from the key [1] and counters (index, block)."""
    as_words = f"Cast <to = {onnx.TensorProto.UINT64}>"
    right = 'BitShift <direction = "RIGHT">'
    lines = [
        f"key = {as_words} (seed)",
        "k0_0 = BitwiseAnd (key, low)",
        f"k1_0 = {right} (key, thirty_two)",
        f"counted = {as_words} (index)",
        "counter = Unsqueeze (counted, last)",
        "c0_0 = BitwiseAnd (counter, low)",
        f"c1_0 = {right} (counter, thirty_two)",
        "c2_0 = Identity (block)",  # below 2**32: its high word, c3, is 0
    ]
    for i in range(ROUNDS):
        j = i + 1
        lines += [
            f"p0_{j} = Mul (c0_{i}, m0)",
            f"p1_{j} = Mul (c2_{i}, m1)",
            f"h0_{j} = {right} (p0_{j}, thirty_two)",
            f"h1_{j} = {right} (p1_{j}, thirty_two)",
            f"x0_{j} = BitwiseXor (h1_{j}, c1_{i})",
            f"c0_{j} = BitwiseXor (x0_{j}, k0_{i})",
            f"c1_{j} = BitwiseAnd (p1_{j}, low)",
            f"x2_{j} = BitwiseXor (h0_{j}, c3_{i})" if i else f"x2_{j} = Identity (h0_{j})",
            f"c2_{j} = BitwiseXor (x2_{j}, k1_{i})",
            f"c3_{j} = BitwiseAnd (p0_{j}, low)",
        ]
        if j < ROUNDS:
            for k in (0, 1):
                lines += [
                    f"s{k}_{j} = Add (k{k}_{i}, w{k})",
                    f"k{k}_{j} = BitwiseAnd (s{k}_{j}, low)",
                ]
    return lines


def _normal_lines() -> list[str]:
    """Nodes of Box-Muller: n, float64 [batch, latent], from the four words of the last round."""
    lines = []
    for k in range(WORDS):
        lines += [
            f"d{k} = Cast <to = {onnx.TensorProto.DOUBLE}> (c{k}_{ROUNDS})",
            f"e{k} = Add (d{k}, half)",
            f"u{k} = Mul (e{k}, unit)",
        ]
    for first, second in ((0, 1), (2, 3)):
        lines += [
            f"log{first} = Log (u{first})",
            f"square{first} = Mul (log{first}, minus_two)",
            f"radius{first} = Sqrt (square{first})",
            f"angle{first} = Mul (u{second}, two_pi)",
            f"sin{first} = Sin (angle{first})",
            # cos(x) = sin(x + pi / 2): onnxruntime implements Cos in float64 only since 1.29.
            f"turned{first} = Add (u{second}, quarter)",
            f"ahead{first} = Mul (turned{first}, two_pi)",
            f"cos{first} = Sin (ahead{first})",
            f"n{first} = Mul (radius{first}, cos{first})",
            f"n{second} = Mul (radius{first}, sin{first})",
        ]
    lines += [f"column{k} = Unsqueeze (n{k}, third)" for k in range(WORDS)]
    columns = ", ".join(f"column{k}" for k in range(WORDS))
    return [
        *lines,
        f"stacked = Concat <axis = 2> ({columns})",
        "whole = Reshape (stacked, flat)",
        "n = Slice (whole, from, to, last)",
    ]
