package aeonnx;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * One graph: a part in one precision.
 *
 * @param axes the dynamic axes of inputs and outputs, by name
 * @param golden at least one set
 * @param percentiles thresholds, by output and name such as "p99"
 * @param normal what normal rows score, of outputs that have percentiles
 */
public record Variant(
        String file,
        String sha256,
        long bytes,
        long opset,
        String minOnnxruntime,
        List<TensorSpec> inputs,
        List<TensorSpec> outputs,
        Map<String, Axis> axes,
        List<Golden> golden,
        Map<String, Map<String, Double>> percentiles,
        Map<String, Normal> normal) {

    /**
     * An array in a file, and for each row of an output the largest |difference| that counts as equal;
     * null for an input.
     */
    public record Stored(
            String file, String sha256, DType dtype, long[] shape, double[] tolerance) {}

    /** Stored inputs, and the outputs of torch for them, by tensor. */
    public record Golden(Map<String, Stored> inputs, Map<String, Stored> outputs) {}

    /** The rows that the graph is fixed to; 0 if it takes any number. */
    public long fixedRows() {
        Size first = outputs.get(0).shape().get(0);
        return first.isNumber() ? first.factor() : 0;
    }

    /** Whether an input has a row for each row of the outputs; a seed is for all of them. */
    boolean hasRows(TensorSpec input) {
        return input.kind() != Kind.SEED
                && input.shape().get(0).equals(outputs.get(0).shape().get(0));
    }

    /** The inputs, for any number of rows. */
    List<TensorSpec> anyInputs() {
        return inputs.stream().map(spec -> hasRows(spec) ? spec.withAnyRows() : spec).toList();
    }

    /** The outputs, for any number of rows. */
    List<TensorSpec> anyOutputs() {
        return outputs.stream().map(TensorSpec::withAnyRows).toList();
    }

    /**
     * The size of each axis, "batch" included, where the inputs have these shapes.
     *
     * @throws AeonnxException they break a rule
     */
    Map<String, Long> sizes(Map<String, long[]> shapes) {
        List<Axis.Sized> sized = anyInputs().stream()
                .map(spec -> new Axis.Sized(spec.name(), spec.shape(), shapes.get(spec.name())))
                .toList();
        Map<String, Axis> all = new HashMap<>(axes);
        all.putIfAbsent(Size.BATCH, Axis.ANY);
        return Axis.solve(sized, all);
    }

    /**
     * What its tensors, axes and golden vectors must have in common.
     *
     * @param path of the variant in the manifest, for messages
     * @throws AeonnxException names the field, what was expected and what came
     */
    void require(String path) {
        requireAxes(path);
        requireRows(path);
        requireScores(path);
        for (int i = 0; i < golden.size(); i++) {
            requireGolden(golden.get(i), path + ".golden[" + i + "]");
        }
    }

    // The axes are those of the tensors, and the inputs decide the sizes of the outputs.
    private void requireAxes(String path) {
        Set<String> known = namesOf(inputs);
        Set<String> used = namesOf(Stream.concat(inputs.stream(), outputs.stream()).toList());
        if (!axes.keySet().equals(used)) {
            throw new AeonnxException(path + ".axes: expected those of the tensors, " + used + ", got "
                    + axes.keySet());
        }
        if (!known.equals(used)) {
            used.removeAll(known);
            throw new AeonnxException(
                    path + ".outputs: expected sizes that follow axes of the inputs, got " + used);
        }
        following(Stream.concat(inputs.stream(), outputs.stream())).forEach(size -> {
            long multiple = axes.get(size.axis()).multiple();
            if (multiple % size.divisor() != 0) {
                throw new AeonnxException(path + ".axes." + size.axis() + ".multiple: expected a "
                        + "multiple of " + size.divisor() + " for " + size.text() + ", got " + multiple);
            }
        });
    }

    private static Set<String> namesOf(List<TensorSpec> specs) {
        Set<String> names = new TreeSet<>();
        following(specs.stream()).forEach(size -> names.add(size.axis()));
        return names;
    }

    // The sizes that follow axes.
    private static Stream<Size> following(Stream<TensorSpec> specs) {
        return specs.flatMap(spec -> spec.shape().stream()).filter(size -> !size.isNumber());
    }

    private void requireRows(String path) {
        Size first = outputs.get(0).shape().get(0);
        if (!first.isNumber() && !first.isRows()) {
            throw new AeonnxException(path + ".outputs: expected \"batch\" or a number of rows for the "
                    + "first size, got " + first.text());
        }
        for (TensorSpec output : outputs) {
            if (!output.shape().get(0).equals(first)) {
                throw new AeonnxException(path + ".outputs: expected the same first size in all, got "
                        + first.text() + " and " + output.shape().get(0).text());
            }
        }
        if (inputs.stream().noneMatch(this::hasRows)) {
            throw new AeonnxException(path + ".inputs: expected one with a first size of "
                    + first.text() + ", as the outputs have");
        }
    }

    // What normal rows score is said of outputs.
    private void requireScores(String path) {
        Set<String> unknown = new TreeSet<>(percentiles.keySet());
        outputs.forEach(spec -> unknown.remove(spec.name()));
        if (!unknown.isEmpty()) {
            throw new AeonnxException(
                    path + ".percentiles: expected outputs of the graph, got " + unknown);
        }
        if (!percentiles.keySet().containsAll(normal.keySet())) {
            throw new AeonnxException(
                    path + ".normal: expected outputs with percentiles, got " + normal.keySet());
        }
    }

    // Stored arrays have the shapes of the tensors, at one allowed size of each axis.
    private void requireGolden(Golden set, String path) {
        Map<String, long[]> shapes = new HashMap<>();
        for (TensorSpec spec : anyInputs()) {
            Stored stored = set.inputs.get(spec.name());
            if (!spec.isLike(stored.shape)) {
                throw unlike(path + ".inputs." + spec.name(), spec.typed(), stored);
            }
            shapes.put(spec.name(), stored.shape);
        }
        Map<String, Long> sizes;
        try {
            sizes = sizes(shapes);
        } catch (AeonnxException error) {
            throw new AeonnxException(path + ".inputs." + error.getMessage());
        }
        long batch = Math.max(fixedRows(), 1);
        if (sizes.get(Size.BATCH) % batch != 0) {
            throw new AeonnxException(path + ".inputs: expected batches of " + batch + " rows, got "
                    + sizes.get(Size.BATCH) + " rows");
        }
        anyInputs().forEach(spec -> requireStored(
                set.inputs.get(spec.name()), spec, sizes, path + ".inputs." + spec.name()));
        anyOutputs().forEach(spec -> requireStored(
                set.outputs.get(spec.name()), spec, sizes, path + ".outputs." + spec.name()));
    }

    private static void requireStored(
            Stored stored, TensorSpec spec, Map<String, Long> sizes, String path) {
        long[] shape;
        try {
            shape = Size.at(spec.shape(), sizes);
        } catch (ArithmeticException error) {
            throw unlike(path, spec.typed() + " of sizes of at most 63 bits", stored);
        }
        if (stored.dtype != spec.dtype() || !Arrays.equals(stored.shape, shape)) {
            throw unlike(path, TensorSpec.typed(spec.dtype().text, shape), stored);
        }
    }

    private static AeonnxException unlike(String path, String expected, Stored stored) {
        return new AeonnxException(path + ": expected " + expected + ", got "
                + TensorSpec.typed(stored.dtype.text, stored.shape));
    }
}
