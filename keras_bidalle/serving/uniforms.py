"""`generators.sampling.row_uniforms` as TensorFlow operations.

A server gives the images that the model gives for the same seeds only if
it draws the same numbers, and there is no NumPy in a graph. So this is
NumPy's way from a seed to uniform numbers, on 64-bit integers of the graph:
`SeedSequence` hashes the seed to a key, and Philox 4x64-10 turns the key and
a counter into bits.

Reference:
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011
    (Philox); O'Neill, "Developing a seed_seq alternative", 2015, whose
    hashes NumPy's `SeedSequence` is made of.
"""

import math

import tensorflow as tf

# SeedSequence: the constants of its two hashes and of its mixing.
_POOL_HASH = (0x43B0D7E5, 0x931E8875)
_STATE_HASH = (0x8B51F9DD, 0x58F38DED)
_MIX = (0xCA01F9DD, 0x4973F715)
_POOL_SIZE = 4

# Philox 4x64: its multipliers and what is added to the key in each round.
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10

_LOW = 0xFFFFFFFF


def row_uniforms(seeds, shape):
    """Draws each row's uniform numbers from that row's own seed."""
    count = math.prod(shape)
    # Not every operation on 64-bit integers is there on every accelerator.
    with tf.device("/CPU:0"):
        keys = _keys(tf.cast(seeds, tf.uint64))
        blocks = -(-count // 8)  # Each block of four words is eight numbers.
        words = _philox(keys, blocks)  # (B, blocks, 4)
        halves = tf.stack([words & _word(_LOW), _shift(words, 32)], axis=-1)
        numbers = tf.reshape(halves, (-1, blocks * 8))[:, :count]
        # The upper 24 of 32 bits: what a float32 holds.
        numbers = tf.cast(_shift(numbers, 8), tf.float32) * (1 / (1 << 24))
        return tf.reshape(numbers, (-1, *shape))


def _keys(seeds):
    """Philox keys as `SeedSequence` makes them: pair of uint64 (B,)."""
    constants = _hash_constants(*_POOL_HASH)
    zeros = tf.zeros_like(seeds)
    pool = [
        _hash(value, next(constants), next(constants))
        for value in (seeds, *[zeros] * (_POOL_SIZE - 1))
    ]
    for source in range(_POOL_SIZE):
        for target in range(_POOL_SIZE):
            if source != target:
                hashed = _hash(pool[source], next(constants), next(constants))
                pool[target] = _mix(pool[target], hashed)
    constants = _hash_constants(*_STATE_HASH)
    state = [_hash(v, next(constants), next(constants)) for v in pool]
    return state[0] | _left(state[1], 32), state[2] | _left(state[3], 32)


def _hash_constants(start, factor):
    """Each constant twice but the first: once as old, once as new."""
    constant = start
    while True:
        yield constant
        constant = constant * factor & _LOW
        yield constant


def _hash(value, before, after):
    value = (value ^ _word(before)) * _word(after) & _word(_LOW)
    return value ^ _shift(value, 16)


def _mix(x, y):
    difference = x * _word(_MIX[0]) - y * _word(_MIX[1])
    difference &= _word(_LOW)
    return difference ^ _shift(difference, 16)


def _philox(keys, blocks):
    """Words of the first blocks: uint64 (B, blocks, 4)."""
    keys = [key[:, None] for key in keys]
    # NumPy counts up before it draws.
    first = tf.cast(tf.range(1, blocks + 1), tf.uint64)[None]
    counter = [first + tf.zeros_like(keys[0])]
    counter += [tf.zeros_like(counter[0])] * 3
    for number in range(_ROUNDS):
        if number:
            keys = [
                key + _word(step)
                for key, step in zip(keys, _KEY_STEPS, strict=True)
            ]
        high0, low0 = _product(counter[0], _MULTIPLIERS[0])
        high1, low1 = _product(counter[2], _MULTIPLIERS[1])
        counter = [
            high1 ^ counter[1] ^ keys[0],
            low1,
            high0 ^ counter[3] ^ keys[1],
            low0,
        ]
    return tf.stack(counter, axis=-1)


def _product(x, constant):
    """The upper and the lower 64 bits of a product."""
    x_low, x_high = x & _word(_LOW), _shift(x, 32)
    c_low, c_high = _word(constant & _LOW), _word(constant >> 32)
    low = x_low * c_low
    middle = x_high * c_low + _shift(low, 32)
    other = x_low * c_high + (middle & _word(_LOW))
    high = x_high * c_high + _shift(middle, 32) + _shift(other, 32)
    return high, x * _word(constant)


def _word(value):
    return tf.constant(value, tf.uint64)


def _shift(x, bits):
    return tf.bitwise.right_shift(x, _word(bits))


def _left(x, bits):
    return tf.bitwise.left_shift(x, _word(bits))
