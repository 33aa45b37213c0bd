"""A handler as one writes it first: FastAPI, a pydantic model with a list, `session.run`.

GRAPH=decoder.onnx uvicorn naive:app
"""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1  # it has one core
session = ort.InferenceSession(os.environ["GRAPH"], options, providers=["CPUExecutionProvider"])
(entry,) = session.get_inputs()
app = FastAPI()


class Row(BaseModel):
    """The values of one row, in one list."""

    row: list[float]


@app.post("/predict")
def predict(call: Row) -> Row:
    """The first output for a row."""
    x = np.array(call.row, np.float32).reshape(1, *entry.shape[1:])
    return Row(row=session.run(None, {entry.name: x})[0].ravel().tolist())
