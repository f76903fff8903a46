# SPDX-License-Identifier: Apache-2.0
# Makes the golden data of this folder with the numpy decoder of the Python package gguf. See README.md.
import os
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

# type -> offsets of the f16 scales in a block
TYPES = {
    "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q8_1": [0, 2],
    "q2_k": [80, 82], "q3_k": [108], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "q8_k": [],
    "iq1_s": [0], "iq1_m": [], "iq2_xxs": [0], "iq2_xs": [0], "iq2_s": [0], "iq3_xxs": [0], "iq3_s": [0],
    "iq4_nl": [0], "iq4_xs": [0], "tq1_0": [52], "tq2_0": [64], "mxfp4": [],
}
LARGE_BLOCKS = 1024


def number(name):
    return T[name.upper()]


def sizes(name):
    """weights and bytes of a block"""
    if name == "q8_1":  # the package gives an older layout with two f32; the engines have two f16 now
        return 32, 36
    return GGML_QUANT_SIZES[number(name)]


def decode(name, blocks):
    """blocks: [n, bytes] uint8 -> [n, weights] float32"""
    if name == "q8_1":  # the package has no decoder for these two
        d = np.ascontiguousarray(blocks[:, 0:2]).view(np.float16).astype(np.float32)
        return d * blocks[:, 4:36].view(np.int8).astype(np.float32)
    if name == "q8_k":
        d = np.ascontiguousarray(blocks[:, 0:4]).view(np.float32)
        return d * blocks[:, 4:260].view(np.int8).astype(np.float32)
    with np.errstate(over="ignore"):
        return dequantize(blocks, number(name))


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def finite(name, blocks, small):
    """Keeps infinities and NaN out of the scales; small: clears the top exponent bit, as the test does."""
    for off in TYPES[name]:
        h = blocks[:, off + 1]
        blocks[:, off + 1] = np.where(small | ((h & 0x7C) == 0x7C), h & 0xBF, h)
    if name == "iq1_m":  # the f16 is spread over the top nibbles of four words
        blocks[:, 55] &= 0xBF
    if name == "q8_k":
        blocks[:, 3] &= 0xBF


def main():
    out = os.path.dirname(os.path.abspath(sys.argv[0]))
    rng = np.random.default_rng(20240229)
    lines = []
    for k, name in enumerate(TYPES):
        weights, size = sizes(name)

        blocks = rng.integers(0, 256, size=(8 if weights == 32 else 4, size), dtype=np.uint8)
        finite(name, blocks, False)
        with open(os.path.join(out, name + ".bin"), "wb") as f:
            f.write(blocks.tobytes())
            f.write(decode(name, blocks).astype("<f4").tobytes())

        with np.errstate(over="ignore"):
            n = LARGE_BLOCKS * size
            i = np.arange((n + 7) // 8, dtype=np.uint64)
            words = mix(np.uint64(k + 1) * np.uint64(0x9E3779B97F4A7C15) + i)
            blocks = np.frombuffer(words.astype("<u8").tobytes()[:n], dtype=np.uint8).reshape(-1, size).copy()
            finite(name, blocks, True)
            v = decode(name, blocks).astype("<f4").view(np.uint32).ravel().astype(np.uint64)
            i = np.arange(v.size, dtype=np.uint64)
            h = np.sum((v + np.uint64(1)) * mix(i + np.uint64(1)), dtype=np.uint64)
        lines.append("%s %d %016x\n" % (name, LARGE_BLOCKS, int(h)))
    with open(os.path.join(out, "large.txt"), "w") as f:
        f.writelines(lines)


main()
