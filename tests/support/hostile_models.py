"""Writes SavedModels that reach outside: ``python hostile_models.py DIR CANARY WRITTEN LISTENING FREE``.

``reader`` reads the file CANARY, ``writer`` writes the file WRITTEN, ``caller`` connects to the TCP port LISTENING, and
``server`` listens on the port FREE for a while. ``opener`` reads what it is told to, ``neighbour`` looks for versions
beside its own, from the working folder of a probe, and ``amplifier`` answers with more than an answer may have.
"""

import os
import sys
from pathlib import Path

import tensorflow as tf
from engine_models import NUMBER, save
from tensorflow.distribute.experimental.rpc.kernels import gen_rpc_ops


class Reader(tf.Module):
    def __init__(self, canary: str) -> None:
        self.canary = canary

    @tf.function(input_signature=[NUMBER])
    def call(self, x):
        return {"y": tf.io.read_file(self.canary), "x": x}


class Writer(tf.Module):
    def __init__(self, written: str) -> None:
        self.written = written

    @tf.function(input_signature=[NUMBER])
    def call(self, x):
        with tf.control_dependencies([tf.io.write_file(self.written, "written")]):
            return {"y": tf.identity(x)}


class Caller(tf.Module):
    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    @tf.function(input_signature=[NUMBER])
    def call(self, x):
        _, methods = gen_rpc_ops.rpc_client(self.address, 2_000, list_registered_methods=True)
        return {"y": tf.size(methods), "x": x}


class Server(tf.Module):
    """Listens for as long as it waits for somebody who does not answer."""

    def __init__(self, port: int, silent: int) -> None:
        self.address, self.silent = f"127.0.0.1:{port}", f"127.0.0.1:{silent}"

    @tf.function(input_signature=[NUMBER])
    def call(self, x):
        server = gen_rpc_ops.rpc_server(self.address)
        with tf.control_dependencies([gen_rpc_ops.rpc_server_start(server)]):
            _, methods = gen_rpc_ops.rpc_client(self.silent, 2_000, list_registered_methods=True)
        return {"y": tf.size(methods), "x": x}


class Opener(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="x")])
    def call(self, x):
        return {"y": tf.io.read_file(x)}


class Neighbour(tf.Module):
    @tf.function(input_signature=[NUMBER])
    def call(self, x):
        return {"y": tf.size(tf.io.matching_files("../../../snapshots/*/saved_model.pb")), "x": x}


class Amplifier(tf.Module):
    @tf.function(input_signature=[NUMBER])
    def call(self, x):
        return {"y": tf.broadcast_to(x, [1 << 26])}


def main(target: Path, canary: str, written: str, listening: int, free: int) -> None:
    """Write all models."""
    for name, model in (
        ("reader", Reader(canary)),
        ("writer", Writer(written)),
        ("caller", Caller(listening)),
        ("server", Server(free, listening)),
        ("opener", Opener()),
        ("neighbour", Neighbour()),
        ("amplifier", Amplifier()),
    ):
        save(model, target / name, {"serving_default": model.call})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    os._exit(0)  # a server of RPC cannot be ended otherwise
