"""An autoencoder in Keras, on JAX; run by its own environment's Python, see `_runner`."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import keras
import numpy as np
from _runner import serve, timed


def answer(request, train, test, folder):
    """Return codes and reconstructions of the columns of all views side by side."""
    keras.utils.set_random_seed(request["seed"])
    train, test = (np.hstack(list(rows.values())) for rows in (train, test))
    model, seconds = timed(fit, request, train)
    encoder = keras.Model(model.input, model.get_layer("code").output)
    return {
        "codes/train": encoder.predict(train, verbose=0),
        "codes/test": encoder.predict(test, verbose=0),
        "whole": model.predict(test, verbose=0),
    }, seconds


def fit(request, rows):
    """Train with a tenth of the rows held out, and keep the epoch that is best there."""
    model = build(request, rows.shape[1])
    stopping = keras.callbacks.EarlyStopping(
        patience=request["patience"], restore_best_weights=True
    )
    model.fit(
        *(rows, rows),
        batch_size=request["batch_size"],
        epochs=request["max_epochs"],
        validation_split=0.1,
        callbacks=[stopping],
        verbose=0,
    )
    return model


def build(request, n_columns):
    """Return two hidden layers on either side of the code, as wide as ours are."""

    def hidden(x):
        for _ in range(2):
            x = keras.layers.Dense(request["width"], activation=request["activation"])(x)
        return x

    columns = keras.Input((n_columns,))
    noisy = keras.layers.GaussianNoise(request["noise"])(columns)
    code = keras.layers.Dense(request["n_components"], name="code")(hidden(noisy))
    model = keras.Model(columns, keras.layers.Dense(n_columns)(hidden(code)))
    model.compile(keras.optimizers.Adam(request["lr"]), "mse")
    return model


if __name__ == "__main__":
    serve(answer)
