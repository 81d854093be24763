"""A trunk with a loop over time: sequences of any length, trained, served and fine-tuned.

A recurrent network written as a ``tf.Module``, its loop an ordinary ``for`` over ``tf.range`` that fills a
``TensorArray``, learns to tell slow waves from fast ones. It is pushed, asked about sequences of several lengths,
pulled again, and fine-tuned together with a new head to tell growing waves from fading ones.

Run it against a hub that is up (``hub serve``)::

    python examples/dynamic_rnn.py http://127.0.0.1:8460

The waves are made here from a fixed seed; nothing is downloaded.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import hub
from hub.finetune import export_trunk

UNITS = 24
CYCLES_PER_STEP = (0.04, 0.11, 0.23)
LENGTHS = (16, 24, 33)
TRUNK, TUNED = "demo/wave-rnn", "demo/growing-waves"

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the job did, what it claims, and whether that is so."""

    title: str
    claim: str
    holds: bool
    detail: str


class DynamicRNN(tf.Module):
    """A gated recurrent network over [batch, time, 1] float32; batch and time are free."""

    def __init__(self, units: int, seed: int) -> None:
        super().__init__()
        draw = tf.random.Generator.from_seed(seed)
        self.into = tf.Variable(draw.normal((1, 2 * units), stddev=0.5), name="into")
        self.again = tf.Variable(draw.normal((units, 2 * units), stddev=units**-0.5), name="again")
        self.bias = tf.Variable(tf.zeros(2 * units), name="bias")
        self.units = units

    @tf.function(reduce_retracing=True)
    def __call__(self, inputs: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Run over time.

        Args:
            inputs: [batch, time, 1] float32.
            training: Noise on the state, so that no single unit is relied on.

        Returns:
            ``features`` [batch, units], the last state; ``sequence`` [batch, time, units], all of them.
        """
        batch, time = tf.shape(inputs)[0], tf.shape(inputs)[1]
        state = tf.zeros((batch, self.units))
        states = tf.TensorArray(tf.float32, size=time)
        for step in tf.range(time):
            gate, new = tf.split(inputs[:, step] @ self.into + state @ self.again + self.bias, 2, axis=-1)
            keep = tf.sigmoid(gate)
            state = keep * state + (1.0 - keep) * tf.tanh(new)
            if training:
                state += tf.random.normal(tf.shape(state), stddev=0.01)
            states = states.write(step, state)
        return {"features": state, "sequence": tf.transpose(states.stack(), (1, 0, 2))}


def make_waves(seed: int, batches: int, size: int = 64) -> list[Batch]:
    """Noisy waves that grow or fade, every batch of another length.

    Returns:
        Per batch: waves [size, time, 1] float32; speed [size] int32, index into ``CYCLES_PER_STEP``; and
        [size] int32, 1 where the wave grows.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(batches):
        time = np.arange(LENGTHS[number % len(LENGTHS)])
        speed = rng.integers(len(CYCLES_PER_STEP), size=size, dtype=np.int32)
        grows = rng.integers(2, size=size, dtype=np.int32)
        phase = rng.uniform(0, 2 * np.pi, (size, 1))
        ramp = np.linspace(0.2, 1.0, len(time))
        envelope = np.where(grows[:, None] == 1, ramp, ramp[::-1])
        wave = envelope * np.sin(2 * np.pi * np.take(CYCLES_PER_STEP, speed)[:, None] * time + phase)
        noisy = wave + rng.normal(0, 0.05, wave.shape)
        made.append((noisy[..., None].astype(np.float32), speed, grows))
    return made


def train(model: keras.Layer | DynamicRNN, head: keras.layers.Dense, batches: Sequence[Batch], *, label: int) -> None:
    """Fit a trunk and a head on one of the two kinds of label, over batches of different lengths.

    Gradients through a loop over time are large now and then: their norm is clipped, and the learning rate falls to
    nothing, so that no such step is the last.

    Args:
        model: Gives ``features`` for waves; what it lists as trainable is trained.
        head: [batch, units] to logits.
        batches: What ``make_waves`` gave.
        label: Which part of a batch is the label.
    """
    rate = keras.optimizers.schedules.CosineDecay(0.01, len(batches))
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    objective = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.build((None, UNITS))
    trained = [*model.trainable_variables, *head.trainable_variables]

    @tf.function(reduce_retracing=True)
    def step(waves: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = objective(labels, head(model(waves, training=True)["features"]))
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))

    for batch in batches:
        step(tf.constant(batch[0]), tf.constant(batch[label]))


def accuracy_of(model: keras.Layer | DynamicRNN, head: keras.Layer, batches: Sequence[Batch], *, label: int) -> float:
    """The share of waves that are put into the right class."""
    right = [np.argmax(head(model(waves[0])["features"]), axis=-1) == waves[label] for waves in batches]
    return float(np.mean(right))


def run(url: str | None, token: str | None, work_dir: Path) -> Iterator[Step]:
    """Do the whole job against a hub, one step at a time.

    Args:
        url: The hub; the one of the environment or of ``hub login`` if None.
        token: A token that may write; the saved one if None.
        work_dir: Where the trunk is exported to.

    Yields:
        Every step with its claim, checked.

    Raises:
        HubError: The hub refused something.
    """
    keras.utils.set_random_seed(1)
    training, held_out = make_waves(1, 300), make_waves(2, 6)
    rnn, head = DynamicRNN(UNITS, seed=1), keras.layers.Dense(len(CYCLES_PER_STEP))
    train(rnn, head, training, label=1)
    share = accuracy_of(rnn, head, held_out, label=1)
    yield Step(
        "Trained a recurrent trunk on slow and fast waves",
        "90 of 100 new waves are told apart.",
        share > 0.9,
        f"{share:.1%}",
    )

    spec = tf.TensorSpec((None, None, 1), tf.float32, name="wave")
    directory = export_trunk(rnn, work_dir / "wave-rnn", inputs=spec)
    with hub.Client(url, token) as client:
        version = hub.push(directory, TRUNK, client=client).version
        yield Step("Pushed it", "The hub checked it and gave it a version.", version is not None, version.reference)
        yield _asked(client, version.reference, rnn)

        trunk = hub.trunk(version.reference, trainable=True, client=client)
        new_head = keras.layers.Dense(2)
        train(trunk, new_head, training, label=2)
        share = accuracy_of(trunk, new_head, held_out, label=2)
        yield Step(
            "Pulled it and fine-tuned it with a new head",
            "90 of 100 new waves are known to grow or to fade, and the trunk moved.",
            share > 0.9 and not trunk.is_unchanged(),
            f"{share:.1%}",
        )

        wave = keras.Input((None, 1), name="wave")
        tuned = hub.push(keras.Model(wave, new_head(trunk(wave)["features"])), TUNED, client=client).version
        parents = client.lineage(tuned.model, tuned.number).parents
        yield Step(
            "Pushed the fine-tuned whole",
            "The hub knows which version it was tuned from.",
            [parent.edge.digest for parent in parents] == [version.digest],
            f"{tuned.reference} → {version.reference}",
        )


def _asked(client: hub.Client, reference: str, rnn: DynamicRNN) -> Step:
    apart = 0.0
    lengths = (1, 7, 40)
    for length in lengths:
        waves = np.random.default_rng(length).normal(size=(3, length, 1)).astype(np.float32)
        answer, want = client.predict(reference, {"wave": waves}), rnn(waves)
        apart = max(apart, *(float(np.abs(answer[name] - want[name]).max()) for name in want))
    return Step(
        f"Asked {reference} about sequences of {lengths} steps",
        "It answers each with what the module computes here.",
        apart < 1e-4,
        f"{apart:.1e} apart",
    )


def main() -> int:
    """Run the job and print every step; the exit code says whether all claims hold."""
    url = sys.argv[1] if len(sys.argv) > 1 else None
    all_hold = True
    with tempfile.TemporaryDirectory() as work_dir:
        for step in run(url, None, Path(work_dir)):
            all_hold &= step.holds
            print(f"{'✓' if step.holds else '✗'} {step.title}. {step.claim} ({step.detail})", flush=True)
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
