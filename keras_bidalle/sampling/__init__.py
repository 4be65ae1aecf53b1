"""Logits to tokens, and the loops that fill rows with them."""
