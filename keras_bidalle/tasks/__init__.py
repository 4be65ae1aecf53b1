"""Tasks: each with its captions, pictures, splits, judge and report."""
