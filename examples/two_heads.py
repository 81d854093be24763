"""One trunk, two heads: trained apart, served together.

A small network learns to tell shapes apart. Its trunk is pushed to a hub, pulled again as a Keras layer, and a second
head learns colours on top of it without moving one bit of the trunk. Both heads then answer over HTTP.

Run it against a hub that is up (``hub serve``)::

    python examples/two_heads.py http://127.0.0.1:8460

The pictures are drawn here from a fixed seed; nothing is downloaded. ``tf.summary`` needs ``pip install tensorboard``.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import urllib3

import hub
from hub.client.config import Connection, connection

SHAPES = ("disc", "square", "triangle", "cross")
COLOURS = ("red", "green", "blue")
SIDE = 16
HELD_OUT = 400
COLOUR_EPOCHS = 20
TRUNK, SHAPE_HEAD, COLOUR_HEAD = "demo/shapes-trunk", "demo/shape-head", "demo/colour-head"
CARDS = {
    TRUNK: """A small convolutional network for 16 by 16 pictures in RGB, each with one drawn shape on it.

It was trained to name the **shape**, then published without its head. Its 80 features carry enough of the
**colour** for another head to name that too, although nobody asked for it during training.

* **Input** `image`: values from 0 to 1.
* **Trained on** pictures drawn by `examples/two_heads.py` from a fixed seed.
""",
    SHAPE_HEAD: "Names the shape: disc, square, triangle or cross. Give it pictures; the trunk is run for you.",
    COLOUR_HEAD: "Names the colour: red, green or blue. Give it pictures; the trunk is run for you.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the job did, what it claims, and whether that is so."""

    title: str
    claim: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures and what is on them.

    Attributes:
        images: [count, 16, 16, 3] float32 in [0, 1].
        shapes: [count] int32, index into ``SHAPES``.
        colours: [count] int32, index into ``COLOURS``.
    """

    images: np.ndarray
    shapes: np.ndarray
    colours: np.ndarray

    def labelled(self, labels: np.ndarray, *, shuffled: bool = True) -> tf.data.Dataset:
        """Batches of images with one of the two kinds of label."""
        dataset = tf.data.Dataset.from_tensor_slices((self.images, labels))
        if shuffled:
            dataset = dataset.shuffle(len(labels), seed=1)
        return dataset.batch(64).prefetch(tf.data.AUTOTUNE)


def make_data(seed: int, count: int = 2400) -> tuple[Pictures, Pictures]:
    """Draw pictures: one coloured shape each, anywhere, on a noisy ground.

    Returns:
        Pictures to train on, and ``HELD_OUT`` others.
    """
    rng = np.random.default_rng(seed)
    shapes = rng.integers(len(SHAPES), size=count, dtype=np.int32)
    colours = rng.integers(len(COLOURS), size=count, dtype=np.int32)
    radius = rng.uniform(3.5, 5.5, (count, 1, 1))
    centre = rng.uniform(6.0, SIDE - 7.0, (2, count, 1, 1))
    grid = np.arange(SIDE)
    across, down = np.abs(grid[None, None, :] - centre[0]), grid[None, :, None] - centre[1]
    masks = np.choose(
        shapes[:, None, None],
        [
            across**2 + down**2 <= radius**2,
            np.maximum(across, np.abs(down)) <= radius * 0.85,
            (across <= (down + radius) * 0.55) & (down <= radius * 0.8),
            (np.minimum(across, np.abs(down)) <= 1.2) & (np.maximum(across, np.abs(down)) <= radius),
        ],
    )
    paint = rng.uniform(0.0, 0.35, (count, 3))
    paint[np.arange(count), colours] = rng.uniform(0.65, 1.0, count)
    ground = rng.uniform(0.0, 0.3, (count, SIDE, SIDE, 3))
    images = np.where(masks[..., None], paint[:, None, None, :], ground).astype(np.float32)
    cut = count - HELD_OUT
    return Pictures(images[:cut], shapes[:cut], colours[:cut]), Pictures(images[cut:], shapes[cut:], colours[cut:])


def build_trunk() -> keras.Model:
    """A small convolutional network: image [?, 16, 16, 3] in [0, 1] to features [?, 80], coarse and fine."""
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    coarse = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Dropout(0.1)(keras.layers.Flatten()(x))
    fine = keras.layers.Dense(64, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-4))(x)
    return keras.Model(image, keras.layers.Concatenate()([coarse, fine]), name="shapes_trunk")


def with_head(trunk: keras.Layer, head: keras.Layer) -> keras.Model:
    """A head on a trunk, be it a model of ours or a layer that a hub gave."""
    image = keras.Input((SIDE, SIDE, 3), name="image")
    return keras.Model(image, head(trunk(image)))


def train(model: keras.Model, batches: tf.data.Dataset, *, epochs: int, log_dir: Path) -> None:
    """Fit with a loop of our own: tape, metrics and summaries.

    Args:
        model: Images to logits; whatever of it is trainable is trained.
        batches: ([batch, 16, 16, 3] float32, [batch] int32).
        epochs: Times through the data.
        log_dir: Where TensorBoard finds the curves.
    """
    optimizer = keras.optimizers.Adam(3e-3)
    objective = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    mean_loss, accuracy = tf.keras.metrics.Mean(), tf.keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.add_n([objective(labels, logits), *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss.update_state(loss)
        accuracy.update_state(labels, logits)

    writer = tf.summary.create_file_writer(str(log_dir))
    with writer.as_default():
        for epoch in range(epochs):
            mean_loss.reset_state()
            accuracy.reset_state()
            for images, labels in batches:
                step(images, labels)
            tf.summary.scalar("loss", mean_loss.result(), step=epoch)
            tf.summary.scalar("accuracy", accuracy.result(), step=epoch)
    writer.close()


def accuracy_of(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of ``images`` that ``model`` puts into the right class."""
    logits = model(images, training=False).numpy()
    return float(np.mean(np.argmax(logits, axis=-1) == labels))


def train_trunk_and_head1(pictures: Pictures, log_dir: Path) -> tuple[keras.Model, keras.layers.Dense]:
    """Train a new trunk together with a head that names the shape."""
    trunk = build_trunk()
    head = keras.layers.Dense(len(SHAPES), name="shape")
    train(with_head(trunk, head), pictures.labelled(pictures.shapes), epochs=8, log_dir=log_dir)
    return trunk, head


def train_head2(trunk: keras.Layer, pictures: Pictures, log_dir: Path) -> keras.Model:
    """Train a head that names the colour on a trunk that stays as it is."""
    layers = [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(len(COLOURS))]
    model = with_head(trunk, keras.Sequential(layers, name="colour"))
    train(model, pictures.labelled(pictures.colours), epochs=COLOUR_EPOCHS, log_dir=log_dir)
    return model


def bits_of(layer: keras.Layer) -> str:
    """One digest over every weight of a layer."""
    bits = hashlib.sha256()
    for variable in layer.variables:
        bits.update(variable.numpy().tobytes())
    return bits.hexdigest()[:16]


def ask_tfserving(to: Connection, reference: str, images: np.ndarray) -> np.ndarray:
    """Predict through TensorFlow Serving's REST API, with plain JSON."""
    name, _, number = reference.partition("@")
    url = f"{to.url}/v1/models/{name}/versions/{number}:predict"
    headers = {"Authorization": f"Bearer {to.token}"} if to.token else {}
    answer = urllib3.request("POST", url, json={"instances": images.tolist()}, headers=headers, timeout=120)
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(answer.data.decode())
    return np.asarray(answer.json()["predictions"], dtype=np.float32)


def run(url: str | None, token: str | None, work_dir: Path) -> Iterator[Step]:
    """Do the whole job against a hub, one step at a time.

    Args:
        url: The hub; the one of the environment or of ``hub login`` if None.
        token: A token that may write; the saved one if None.
        work_dir: Where the training logs go.

    Yields:
        Every step with its claim, checked.

    Raises:
        HubError: The hub refused something.
    """
    keras.utils.set_random_seed(1)
    training, held_out = make_data(seed=1)
    to = connection(url, token)
    with hub.Client(to.url, to.token) as client:
        trunk, shape_head = train_trunk_and_head1(training, work_dir / "logs" / "shape")
        yield _learned("Trained a trunk and a head for shapes", with_head(trunk, shape_head), held_out, held_out.shapes)

        trunk_ref = _push(client, trunk, TRUNK, work_dir / "logs" / "shape")
        yield Step("Pushed the trunk alone", "The hub checked it and gave it a version.", "@" in trunk_ref, trunk_ref)

        pulled = hub.trunk(trunk_ref, client=client)
        apart = float(np.abs(pulled(held_out.images) - trunk(held_out.images)).max())
        yield Step(
            "Pulled it as a Keras layer",
            "It computes the features it was pushed with.",
            apart < 1e-4,
            f"{apart:.1e} apart",
        )

        shape_model = with_head(pulled, shape_head)
        shape_ref = _push(client, shape_model, SHAPE_HEAD, work_dir / "logs" / "shape")
        before = bits_of(pulled)
        colour_model = train_head2(pulled, training, work_dir / "logs" / "colour")
        yield _learned("Trained a second head on it, for colours", colour_model, held_out, held_out.colours)

        after = bits_of(pulled)
        yield Step("Compared the trunk's weights", "Not one bit of them moved.", before == after, f"{before} = {after}")

        colour_ref = _push(client, colour_model, COLOUR_HEAD, work_dir / "logs" / "colour")
        yield _curves(client, colour_ref)
        yield _lineage(client, trunk_ref, (shape_ref, colour_ref))
        for reference, model in ((shape_ref, shape_model), (colour_ref, colour_model)):
            yield from _served(client, to, reference, model, held_out.images[:32])


def _push(client: hub.Client, model: keras.Model, name: str, log_dir: Path) -> str:
    return hub.push(model, name, card=CARDS[name], summaries=log_dir, client=client).version.reference


def _curves(client: hub.Client, reference: str) -> Step:
    name, _, number = reference.partition("@")
    curves = {curve.tag: curve for curve in client.curves_page(name, int(number)).items}
    accuracy = curves["accuracy"]
    return Step(
        "Looked at how it learned",
        "The hub has the loss and the accuracy of every epoch.",
        set(curves) == {"loss", "accuracy"} and accuracy.count == COLOUR_EPOCHS,
        f"accuracy from {accuracy.min.value:.1%} to {accuracy.last.value:.1%} in {accuracy.count} epochs",
    )


def _learned(title: str, model: keras.Model, held_out: Pictures, labels: np.ndarray) -> Step:
    share = accuracy_of(model, held_out.images, labels)
    return Step(title, f"More than 90 of 100 of {HELD_OUT} new pictures are named right.", share > 0.9, f"{share:.1%}")


def _lineage(client: hub.Client, trunk_ref: str, heads: tuple[str, ...]) -> Step:
    name, _, number = trunk_ref.partition("@")
    children = client.lineage(name, int(number)).children
    recorded = {child.version.reference for child in children if child.version}
    return Step(
        "Pushed both heads",
        "The hub knows, without having been told, which trunk they stand on.",
        recorded >= set(heads),
        f"{', '.join(heads)} → {trunk_ref}",
    )


def _served(
    client: hub.Client, to: Connection, reference: str, model: keras.Model, images: np.ndarray
) -> Iterator[Step]:
    want = model(images, training=False).numpy()
    protocols: dict[str, Callable[[], np.ndarray]] = {
        "TensorFlow Serving's protocol": lambda: ask_tfserving(to, reference, images),
        "the Open Inference Protocol": lambda: next(iter(client.predict(reference, {"image": images}).values())),
    }
    for protocol, ask in protocols.items():
        apart = float(np.abs(ask() - want).max())
        yield Step(
            f"Asked {reference} over {protocol}",
            "It answers raw pictures with what the Keras model computes here.",
            apart < 1e-3,
            f"{len(images)} pictures, {apart:.1e} apart",
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
