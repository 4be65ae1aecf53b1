"""Measures a model as papers do: see `--help`."""

import sys

import wiring

from keras_bidalle.evaluation.program import parse, run

main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
