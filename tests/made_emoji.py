"""A made-up set of emoji in the form of the real one."""

import csv
import itertools

import numpy as np
from PIL import Image

VENDORS = ("fluent", "noto")
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
COLORS = {"red": (220, 30, 30), "blue": (30, 60, 220)}
COLUMNS = "file,split,vendor,name,concept,cell,keywords".split(",")


def rows():
    """Rows of `emoji.csv`: heads with tones, colored squares, clocks."""
    found = []
    for vendor in VENDORS:

        def add(code, name, concept, cell, split="train", vendor=vendor):
            words = ", ".join(sorted({*name.split()}))
            file = f"{vendor}/{code}.png"
            found.append(
                (file, split, vendor, name, concept, cell, f"kind, {words}")
            )

        people = itertools.product(("man", "woman"), range(6))
        for person, tone in people:
            tail = f": {TONES[tone - 1]} skin tone" if tone else ""
            held = (person, tone) in (("man", 2), ("woman", 5))
            add(
                f"{person}{tone}",
                f"{person} cook{tail}",
                "cook",
                f"{person} {tone}",
                "held_combination" if held else "train",
            )
        for color in COLORS:
            add(color, f"{color} square", "square", color)
        for i, hour in enumerate(("one 00", "one 30", "two 00")):
            word, half = hour.split()
            name = f"{word} o’clock" if half == "00" else f"{word}-thirty"
            add(f"clock{i}", name, "clock", hour)
        split = "held_vendor" if vendor == "noto" else "train"
        add("ghost", "ghost", "ghost", "person 0", split)
    return found


def picture(row, size=64):
    """A drawing that shows what a row says: uint8 (size, size, 3)."""
    _, _, vendor, _, concept, cell, _ = row
    image = np.full((size, size, 3), 255, "uint8")
    edge = 8 if vendor == "noto" else 12
    inside = image[edge:-edge, edge:-edge]
    if concept == "cook":
        person, tone = cell.split()
        inside[:] = 240 - 30 * int(tone)
        inside[: 8 if person == "man" else 20] = (120, 60, 20)
    elif concept == "square":
        inside[:] = COLORS[cell]
    elif concept == "clock":
        hour, half = cell.split()
        inside[::4] = 0
        inside[:, : 16 if half == "00" else 32] = 90
        inside[: 10 if hour == "one" else 30] = 160
    else:
        inside[:, ::6] = (90, 90, 200)
    return image


def make_emoji(folder):
    """Writes the set into a folder."""
    found = rows()
    for row in found:
        path = folder / row[1] / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(row)).save(path)
    with open(folder / "emoji.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *found])
