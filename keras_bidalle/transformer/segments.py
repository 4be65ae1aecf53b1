"""Segment ids: the condition of a row, and what is generated from it."""

REF, GEN = 0, 1
