package aeonnx;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** An open graph: arrays by name -> arrays by name. */
public final class Part implements AutoCloseable {
    private static final String NOWHERE =
            System.getProperty("os.name").startsWith("Windows") ? "NUL" : "/dev/null";

    public final Variant variant;
    private final String name;
    private final OrtEnvironment environment = Engine.environment();
    private final OrtSession session;

    /** `graph` is the checked content of its file. */
    Part(String name, Variant variant, byte[] graph) {
        this.name = name;
        this.variant = variant;
        Engine.requireRelease(variant);
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

    /** [C, H, W] of an image, where its first input is images. */
    public List<Size> picture() {
        return variant.inputs().get(0).shape().subList(1, 4);
    }

    /**
     * Any number of rows, of any sizes that the axes allow: a graph that is fixed to a number of rows
     * gets so many at once, and large rows run in tiles.
     *
     * @throws AeonnxException an input is missing, has another type or shape, or the graph failed
     */
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
        requireTypes(inputs);
        return run(inputs, this::runOnce);
    }

    /**
     * The same with another way to run the graph on one batch or tile, for inputs of other types.
     *
     * @param inputs one of each name
     */
    Map<String, Tensor> run(Map<String, Tensor> inputs, UnaryOperator<Map<String, Tensor>> graph) {
        Map<String, Long> sizes = sizes(inputs);
        long rows = sizes.get(Size.BATCH);
        long fixed = variant.fixedRows();
        requireRoom(sizes, Math.max(rows, fixed));
        boolean tiled = Tiles.isNeeded(variant, sizes);
        UnaryOperator<Map<String, Tensor>> run =
                tiled ? batch -> Tiles.run(variant, sizes, batch, graph) : graph;
        long batch = fixed > 0 ? fixed : tiled ? 1 : rows; // a row is large where it runs in tiles
        if (batch == rows) {
            return run.apply(inputs);
        }
        Map<String, Tensor> answers = new LinkedHashMap<>();
        for (long first = 0; first < rows; first += batch) {
            for (var found : run.apply(rowsOf(inputs, first, batch)).entrySet()) {
                Tensor part = found.getValue();
                long[] extent = part.shape().clone();
                extent[0] = rows;
                Tensor whole = answers.computeIfAbsent(
                        found.getKey(), key -> Tensor.of(part.dtype(), extent.clone()));
                long[] there = new long[extent.length];
                there[0] = first;
                extent[0] = Math.min(batch, rows - first);
                part.copyTo(whole, new long[extent.length], there, extent);
            }
        }
        return answers;
    }

    /** Rows of the inputs; what is for all of them, such as a seed, stays whole. */
    Map<String, Tensor> rowsOf(Map<String, Tensor> inputs, long first, long rows) {
        Map<String, Tensor> taken = new LinkedHashMap<>();
        for (TensorSpec spec : variant.inputs()) {
            Tensor tensor = inputs.get(spec.name());
            taken.put(spec.name(), variant.hasRows(spec) ? tensor.rows(first, rows) : tensor);
        }
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

    /** Run the graph on one batch, of as many rows as it takes. */
    Map<String, Tensor> runOnce(Map<String, Tensor> inputs) {
        Map<String, Long> sizes = sizes(inputs);
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
                for (TensorSpec spec : variant.anyOutputs()) {
                    long[] shape = Size.at(spec.shape(), sizes);
                    answers.put(spec.name(),
                            answer(spec, shape, found.get(spec.name()).orElse(null)));
                }
                return answers;
            }
        } catch (OrtException error) {
            throw new AeonnxException(variant.file() + " failed: " + error.getMessage());
        } finally {
            values.values().forEach(OnnxTensor::close);
        }
    }

    // What the graph gave, once it is known to be of the shape that follows from the inputs.
    private Tensor answer(TensorSpec spec, long[] shape, OnnxValue value) {
        boolean good = value instanceof OnnxTensor given
                && given.getInfo().type == spec.dtype().type
                && Arrays.equals(given.getInfo().getShape(), shape);
        if (!good) {
            String got = value instanceof OnnxTensor given
                    ? spec.name() + " " + TensorSpec.typed(DType.nameOf(given.getInfo().type),
                            given.getInfo().getShape())
                    : spec.name() + ", which is not a tensor";
            throw new AeonnxException(variant.file() + " gave " + got + ", expected "
                    + TensorSpec.typed(spec.dtype().text, shape) + ": export the bundle again");
        }
        ByteBuffer data = ((OnnxTensor) value).getByteBuffer().order(ByteOrder.nativeOrder());
        return new Tensor(spec.dtype(), shape, data);
    }

    private void requireTypes(Map<String, Tensor> inputs) {
        for (TensorSpec spec : variant.anyInputs()) {
            Tensor tensor = inputs.get(spec.name());
            if (tensor == null || inputs.size() != variant.inputs().size()) {
                throw new AeonnxException(name + ": expected the inputs " + listed(variant.inputs()));
            }
            boolean good = tensor.dtype() == spec.dtype() && spec.isLike(tensor.shape())
                    && tensor.count() == Tensor.count(tensor.shape());
            if (!good) {
                throw new AeonnxException(name + ": " + spec.name() + ": expected " + spec.typed()
                        + ", got " + TensorSpec.typed(tensor.dtype().text, tensor.shape()));
            }
        }
    }

    private Map<String, Long> sizes(Map<String, Tensor> inputs) {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        inputs.forEach((key, tensor) -> shapes.put(key, tensor.shape()));
        try {
            return variant.sizes(shapes);
        } catch (AeonnxException error) {
            throw new AeonnxException(name + ": " + error.getMessage());
        }
    }

    // Outputs, and batches of a fixed number of rows, are of a size that fits an array.
    private void requireRoom(Map<String, Long> sizes, long rows) {
        for (TensorSpec spec : variant.anyOutputs()) {
            requireRoom(spec, sizes, rows);
        }
        for (TensorSpec spec : variant.anyInputs()) {
            requireRoom(spec, sizes, rows);
        }
    }

    private void requireRoom(TensorSpec spec, Map<String, Long> sizes, long rows) {
        Map<String, Long> all = new LinkedHashMap<>(sizes);
        all.put(Size.BATCH, rows);
        try {
            if (Tensor.count(Size.at(spec.shape(), all)) <= Input.MOST / spec.dtype().width) {
                return;
            }
        } catch (ArithmeticException error) {
            // more than any number of bytes
        }
        throw new AeonnxException(name + ": " + spec + " at sizes " + all + " is more than "
                + Input.MOST + " bytes: give fewer or smaller rows");
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

    // As the manifest has it: a dynamic size has the name of what it follows.
    private static String describe(NodeInfo node) {
        if (node.getInfo() instanceof TensorInfo tensor) {
            long[] shape = tensor.getShape();
            String[] names = tensor.getDimensionNames();
            return node.getName() + " " + DType.nameOf(tensor.type)
                    + IntStream.range(0, shape.length)
                            .mapToObj(i -> shape[i] >= 0 ? Long.toString(shape[i])
                                    : names[i].isEmpty() ? "?" : names[i])
                            .collect(Collectors.joining(", ", " [", "]"));
        }
        return node.getName() + ", which is not a tensor";
    }

    private static String listed(List<TensorSpec> specs) {
        return specs.stream().map(TensorSpec::toString).collect(Collectors.joining(", "));
    }
}
