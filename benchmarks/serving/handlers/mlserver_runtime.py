"""A custom runtime of MLServer over onnxruntime, as its documentation writes one."""

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    """The outputs of the graph that `parameters.uri` of the settings names."""

    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # it has one core
        self.session = ort.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = {entry.name: NumpyCodec.decode_input(entry) for entry in payload.inputs}
        names = [entry.name for entry in self.session.get_outputs()]
        found = zip(names, self.session.run(names, given), strict=True)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(*each) for each in found]
        )
