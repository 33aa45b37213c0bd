package aeonnx;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
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
import java.util.stream.Stream;

/** An open graph: arrays by name -> arrays by name. */
public final class Part implements AutoCloseable {
    private static final String NOWHERE =
            System.getProperty("os.name").startsWith("Windows") ? "NUL" : "/dev/null";
    private static final int[] OLDEST = {1, 24, 1};

    public final Variant variant;
    private final String name;
    private final OrtEnvironment environment = environment();
    private final OrtSession session;

    /** `graph` is the checked content of its file. */
    Part(String name, Variant variant, byte[] graph) {
        this.name = name;
        this.variant = variant;
        requireRelease(variant);
        requireRows(variant);
        Graph.requirePlain(variant.file(), graph);
        try (var options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(1); // at batch 1 these graphs are too small for more
            // Its log prints what graphs hold; errors say the same.
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            // Twice the same as Graph asks: weights are in the graph, and it is in ONNX's format.
            options.addConfigEntry("session.model_external_initializers_file_folder_path", NOWHERE);
            options.addConfigEntry("session.load_model_format", "ONNX");
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
        return variant.outputs().get(0).shape()[0];
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
            long rows = rowsIn(inputs);
            try (OrtSession.Result found = session.run(values)) {
                Map<String, Tensor> answers = new LinkedHashMap<>();
                for (TensorSpec spec : variant.outputs()) {
                    answers.put(spec.name(), answer(spec, rows, found.get(spec.name()).orElse(null)));
                }
                return answers;
            }
        } catch (OrtException error) {
            throw new AeonnxException(variant.file() + " failed: " + error.getMessage());
        } finally {
            values.values().forEach(OnnxTensor::close);
        }
    }

    // What the graph gave, once it is known to be of the shape that the manifest says.
    private Tensor answer(TensorSpec spec, long rows, OnnxValue value) {
        long[] shape = Verb.of(rows, spec.row());
        boolean good = value instanceof OnnxTensor given
                && given.getInfo().type == spec.dtype().type
                && Arrays.equals(given.getInfo().getShape(), shape);
        if (!good) {
            String got = value instanceof OnnxTensor given
                    ? Manifest.describe(spec.name(), DType.nameOf(given.getInfo().type),
                            given.getInfo().getShape())
                    : spec.name() + ", which is not a tensor";
            throw new AeonnxException(variant.file() + " gave " + got + ", expected "
                    + spec.dtype().text + " " + Manifest.inWords(shape)
                    + ": export the bundle again");
        }
        ByteBuffer data = ((OnnxTensor) value).getByteBuffer().order(ByteOrder.nativeOrder());
        return new Tensor(spec.dtype(), shape, data);
    }

    // All inputs but the seed, and all outputs, have the same rows, of a size that fits an array.
    private static void requireRows(Variant variant) {
        long[] first = variant.outputs().get(0).shape();
        Stream.concat(variant.inputs().stream(), variant.outputs().stream())
                .filter(spec -> !spec.name().equals("seed"))
                .forEach(spec -> {
                    long[] shape = spec.shape();
                    if (first.length == 0 || shape.length == 0 || shape[0] != first[0]) {
                        throw new AeonnxException(variant.file()
                                + ": expected as many rows in all inputs and outputs, got " + spec);
                    }
                    long rows = Math.max(shape[0], 1);
                    if (Tensor.count(Verb.of(rows, spec.row())) > Input.MOST / spec.dtype().width) {
                        throw new AeonnxException(
                                rows + " rows of " + spec + " are more than " + Input.MOST + " bytes");
                    }
                });
    }

    private long rowsIn(Map<String, Tensor> inputs) {
        long rows = 0;
        for (TensorSpec spec : variant.inputs()) {
            Tensor tensor = inputs.get(spec.name());
            if (tensor == null || inputs.size() != variant.inputs().size()) {
                throw new AeonnxException(name + ": expected the inputs " + listed(variant.inputs()));
            }
            long[] expected = spec.shape().clone();
            if (!spec.name().equals("seed") && tensor.shape().length > 0) {
                rows = rows == 0 ? tensor.rows() : rows;
                expected[0] = rows;
            }
            if (tensor.dtype() != spec.dtype()
                    || Arrays.stream(expected).anyMatch(size -> size < 1)
                    || !Arrays.equals(tensor.shape(), expected)
                    || tensor.count() != Tensor.count(expected)) {
                String got = Manifest.describe(spec.name(), tensor.dtype().text, tensor.shape());
                throw new AeonnxException(name + ": expected " + spec + ", got " + got);
            }
        }
        return Math.max(rows, 1);
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

    // "1.31.1" -> [1, 31, 1]; what is not there is 0
    private static int[] release(String version) {
        return Arrays.stream((version + ".0.0").split("\\."))
                .limit(3)
                .mapToInt(number -> number.matches("[0-9]{1,9}") ? Integer.parseInt(number) : 0)
                .toArray();
    }

    private static OrtEnvironment environment() {
        try {
            var environment = OrtEnvironment.getEnvironment(
                    OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "aeonnx");
            String version = environment.getVersion();
            if (Arrays.compare(release(version), OLDEST) < 0) {
                throw new AeonnxException(4, "this program needs onnxruntime 1.24.1 or newer, since "
                        + "older ones read files outside of a bundle, and this is " + version
                        + ": put a newer onnxruntime jar into lib/");
            }
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
