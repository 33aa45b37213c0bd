"""LitServe with its batching, as its documentation writes an API.

python lit.py GRAPH PORT
"""

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime as ort

BATCH = 64
BATCH_S = 0.001


class Api(litserve.LitAPI):
    """The first output of a graph for a row."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # it has one core
        self.session = ort.InferenceSession(
            sys.argv[1], options, providers=["CPUExecutionProvider"]
        )
        (self.entry,) = self.session.get_inputs()

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array(request["row"], np.float32).reshape(self.entry.shape[1:])

    def batch(self, inputs: list[Any]) -> Any:
        return np.stack(inputs)

    def predict(self, x: Any) -> Any:
        return self.session.run(None, {self.entry.name: x})[0]

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"row": output.ravel().tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=BATCH_S)
    # Its documentation asks for fast_queue from 100 requests/s on.
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(port=sys.argv[2], host="127.0.0.1", num_api_servers=1, generate_client_file=False)
