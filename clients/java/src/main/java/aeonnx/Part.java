package aeonnx;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import aeonnx.Manifest.TensorSpec;
import aeonnx.Manifest.Variant;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** An open graph: arrays by name -> arrays by name. */
public final class Part implements AutoCloseable {
    public final Variant variant;
    private final String name;
    private final OrtEnvironment environment = environment();
    private final OrtSession session;

    /** `graph` is the checked content of its file. */
    Part(String name, Variant variant, byte[] graph) {
        this.name = name;
        this.variant = variant;
        requireRelease(variant);
        try (var options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(1); // at batch 1 these graphs are too small for more
            session = environment.createSession(graph, options);
        } catch (OrtException error) {
            throw new AeonnxException(variant.file() + " cannot be opened: " + error.getMessage());
        }
        try {
            require("input", variant.inputs(), session.getInputInfo());
            require("output", variant.outputs(), session.getOutputInfo());
        } catch (OrtException error) {
            throw new AeonnxException(variant.file() + ": " + error.getMessage());
        }
    }

    /** The release of onnxruntime, such as "1.29.0". */
    public static String engineVersion() {
        return environment().getVersion();
    }

    /** The rows that the graph is fixed to; `Manifest.BATCH` if it takes any number. */
    public long fixedRows() {
        long[] shape = variant.outputs().get(0).shape();
        return shape.length == 0 ? Manifest.BATCH : shape[0];
    }

    /**
     * Any number of rows; a graph that is fixed to so many at once gets them in turns.
     *
     * @throws AeonnxException an input is missing, has another type or shape, or the graph failed
     */
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
        long rows = rowsIn(inputs);
        long fixed = fixedRows();
        if (fixed == Manifest.BATCH) {
            return runOnce(inputs);
        }
        Map<String, Tensor> answers = new LinkedHashMap<>();
        for (long first = 0; first < rows; first += fixed) {
            for (var found : runOnce(rowsOf(inputs, first, fixed)).entrySet()) {
                Tensor part = found.getValue().rows(0, Math.min(fixed, rows - first));
                answers.merge(found.getKey(), part, Part::joined);
            }
        }
        return answers;
    }

    /** Rows of the inputs; a seed is for all of them and stays whole. */
    Map<String, Tensor> rowsOf(Map<String, Tensor> inputs, long first, long rows) {
        Map<String, Tensor> taken = new LinkedHashMap<>();
        inputs.forEach(
                (key, tensor) ->
                        taken.put(key, key.equals("seed") ? tensor : tensor.rows(first, rows)));
        return taken;
    }

    @Override
    public void close() {
        try {
            session.close();
        } catch (OrtException error) {
            throw new AeonnxException(variant.file() + ": " + error.getMessage());
        }
    }

    private Map<String, Tensor> runOnce(Map<String, Tensor> inputs) {
        Map<String, OnnxTensor> values = new LinkedHashMap<>();
        try {
            for (TensorSpec spec : variant.inputs()) {
                Tensor tensor = inputs.get(spec.name());
                ByteBuffer data = tensor.data().duplicate().order(ByteOrder.nativeOrder()).rewind();
                values.put(spec.name(), OnnxTensor.createTensor(
                        environment, data, tensor.shape(), tensor.dtype().type));
            }
            try (OrtSession.Result found = session.run(values)) {
                Map<String, Tensor> answers = new LinkedHashMap<>();
                for (TensorSpec spec : variant.outputs()) {
                    OnnxTensor answer = (OnnxTensor) found.get(spec.name()).orElseThrow();
                    ByteBuffer data = answer.getByteBuffer().order(ByteOrder.nativeOrder());
                    answers.put(spec.name(),
                            new Tensor(spec.dtype(), answer.getInfo().getShape(), data));
                }
                return answers;
            }
        } catch (OrtException error) {
            throw new AeonnxException(variant.file() + " failed: " + error.getMessage());
        } finally {
            values.values().forEach(OnnxTensor::close);
        }
    }

    private long rowsIn(Map<String, Tensor> inputs) {
        long rows = 0;
        for (TensorSpec spec : variant.inputs()) {
            Tensor tensor = inputs.get(spec.name());
            if (tensor == null || inputs.size() != variant.inputs().size()) {
                throw new AeonnxException(name + ": expected the inputs " + listed(variant.inputs()));
            }
            long[] expected = spec.shape().clone();
            if (!spec.name().equals("seed") && expected.length > 0 && tensor.shape().length > 0) {
                rows = rows == 0 ? Math.max(tensor.rows(), 1) : rows;
                expected[0] = rows;
            }
            if (tensor.dtype() != spec.dtype()
                    || !Arrays.equals(tensor.shape(), expected)
                    || tensor.count() != Tensor.count(expected)) {
                String got = Manifest.describe(spec.name(), tensor.dtype().text, tensor.shape());
                throw new AeonnxException(name + ": expected " + spec + ", got " + got);
            }
        }
        return rows;
    }

    private void require(String kind, List<TensorSpec> specs, Map<String, NodeInfo> nodes) {
        List<String> found = nodes.values().stream().map(Part::describe).toList();
        for (int i = 0; i < Math.max(specs.size(), found.size()); i++) {
            String expected = i < specs.size() ? specs.get(i).toString() : "nothing";
            String got = i < found.size() ? found.get(i) : "nothing";
            if (!expected.equals(got)) {
                close();
                throw new AeonnxException(variant.file()
                        + ": expected " + kind + " " + expected + ", the graph has " + got);
            }
        }
    }

    private static String describe(NodeInfo node) {
        if (node.getInfo() instanceof TensorInfo tensor) {
            return Manifest.describe(node.getName(), DType.nameOf(tensor.type), tensor.getShape());
        }
        return node.getName() + ", which is not a tensor";
    }

    private static Tensor joined(Tensor left, Tensor right) {
        long[] shape = left.shape().clone();
        shape[0] += right.rows();
        Tensor both = Tensor.of(left.dtype(), shape);
        both.data().put(left.data().rewind()).put(right.data().rewind()).rewind();
        return both;
    }

    private static void requireRelease(Variant variant) {
        String version = engineVersion();
        if (Arrays.compare(release(version), release(variant.minOnnxruntime())) < 0) {
            throw new AeonnxException(4, variant.file() + " needs onnxruntime "
                    + variant.minOnnxruntime() + " or newer (opset " + variant.opset()
                    + "), this is " + version + ": put a newer onnxruntime jar into lib/");
        }
    }

    // "1.31.1" -> [1, 31]
    private static int[] release(String version) {
        return Arrays.stream(version.split("\\."))
                .limit(2)
                .mapToInt(number -> number.matches("[0-9]{1,9}") ? Integer.parseInt(number) : 0)
                .toArray();
    }

    private static OrtEnvironment environment() {
        try {
            var environment = OrtEnvironment.getEnvironment(
                    OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, "aeonnx");
            environment.setTelemetry(false); // a Java program cannot set its own variables
            return environment;
        } catch (LinkageError error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            throw new AeonnxException(4, "the library of onnxruntime cannot be loaded: "
                    + AeonnxException.reason(cause)
                    + ". Is lib/ beside aeonnx.jar, is the temporary folder writable, is "
                    + "onnxruntime.native.path right?");
        } catch (OrtException error) {
            throw new AeonnxException(4, "onnxruntime does not start: " + error.getMessage());
        }
    }

    private static String listed(List<TensorSpec> specs) {
        return specs.stream().map(TensorSpec::toString).collect(Collectors.joining(", "));
    }
}
