"""Serves a folder without Python: a program in C gives the model's codes.

Exports the shipped model, compiles `serving_in_c.c` against TensorFlow's C
API, whose headers and library its wheel has, and runs the folder with it. The
codes of a picture, and those drawn of a caption, must be the Keras model's.
Without a C compiler it says so, and ends well.

    KERAS_BACKEND=tensorflow python recipes/checks/serving_in_c.py
"""

import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SOURCE = pathlib.Path(__file__).with_suffix(".c")
CAPTION, SEED = "red 3 on the upper left .", 7
GIVEN = {"temperature": 1.0, "top_k": 25, "top_p": 0.9, "guidance_scale": 2.0}


def compiler():
    """The C compiler of this machine, or `None`."""
    return shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")


def compile_program(folder):
    """Compiles the program: `pathlib.Path`."""
    import tensorflow as tf

    library = tf.sysconfig.get_lib()
    program = pathlib.Path(folder) / "serving_in_c"
    command = [compiler(), "-O1", "-Wall", "-Werror", str(SOURCE)]
    command += ["-o", str(program), f"-I{tf.sysconfig.get_include()}"]
    # By their file names, as the wheel has no links without numbers.
    for name in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2"):
        command.append(os.path.join(library, name))
    subprocess.run([*command, f"-Wl,-rpath,{library}"], check=True)
    return program


def run(program, folder, signature, **inputs):
    """Runs a signature for its codes: list of int."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    named = saved.meta_graphs[0].signature_def[signature]
    kinds = {bytes: "s", pathlib.PosixPath: "b", int: "i", float: "f"}
    command = [str(program), str(folder), named.outputs["codes"].name]
    for name, value in inputs.items():
        text = value.decode() if isinstance(value, bytes) else value
        tensor = named.inputs[name].name
        command.append(f"{tensor}={kinds[type(value)]}:{text}")
    # Nothing of Python's is there for it to find.
    environment = {"PATH": "/nonexistent", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return [int(line) for line in done.stdout.split()]


def compare(model, folder):
    """Raises unless the program in C gives a model's codes."""
    import numpy as np
    from PIL import Image

    from keras_bidalle.sampling.settings import SETTINGS

    exported = model.export_serving(folder / "served" / "1")
    program = compile_program(folder)
    settings = {
        name: GIVEN.get(name, setting.kind(setting.examples[0]))
        for name, setting in SETTINGS.items()
    }
    drawn = run(
        program,
        exported,
        "text_to_image_guided",
        prompt=CAPTION.encode(),
        seed=SEED,
        **settings,
    )
    text = model.caption_tokenizer.encode([CAPTION])
    codes = model.generator.generate_codes(text, seed=SEED, **GIVEN)
    np.testing.assert_array_equal(drawn, np.ravel(codes))

    picture = folder / "picture.png"
    pixels = model.text_to_image(CAPTION, seed=SEED, **GIVEN)[0]
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
    picture.write_bytes(buffer.getvalue())
    read = run(program, exported, "encode_image", image_bytes=picture)
    codes = model.image_tokenizer.encode(pixels[None])
    np.testing.assert_array_equal(read, np.ravel(codes))
    return len(drawn) + len(read)


def main():
    if compiler() is None:
        print("SKIPPED: there is NO C COMPILER, so nothing was served in C.")
        return 0
    import keras_bidalle

    model = keras_bidalle.load("bidalle-mnist")
    with tempfile.TemporaryDirectory() as folder:
        count = compare(model, pathlib.Path(folder))
    print(f"{count} codes of a program in C are those of the Keras model")
    return 0


if __name__ == "__main__":
    sys.exit(main())
