package aeonnx;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** Runs the graph that says how unlike those of the training rows are. */
final class Scorer {
    /** The threshold of `score` if none is asked for. */
    static final String USUAL = "p99";

    private static final Pattern PERCENTILE = Pattern.compile("p[0-9]+");
    private static final Pattern NUMBER =
            Pattern.compile("[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?");

    private Scorer() {}

    /**
     * See `Bundle.score`: the label is known to be right.
     *
     * @param x what `rows` or `fromPixels` made
     */
    static Scored score(Part part, Tensor x, double threshold, Long label) {
        Map<String, Tensor> inputs = new HashMap<>();
        inputs.put(part.variant.inputs().get(0).name(), x);
        Verb.find(part.variant, Kind.LABEL)
                .ifPresent(spec -> inputs.put(spec.name(), labels(x.rows(), label)));
        String output = Verb.score(part.variant).orElseThrow().name();
        return judged(part.variant, part.run(inputs).get(output), threshold);
    }

    /** What a scorer's scores, float32 [n], say. */
    static Scored judged(Variant variant, Tensor found, double threshold) {
        String output = Verb.score(variant).orElseThrow().name();
        var normal = Optional.ofNullable(variant.normal().get(output));
        float[] scores = new float[found.count()];
        double[] percentiles = new double[scores.length];
        boolean[] odd = new boolean[scores.length];
        for (int row = 0; row < scores.length; row++) {
            float given = found.data().getFloat(4 * row);
            // Of a network that overflows: NaN would be above no threshold.
            float score = Float.isNaN(given) ? Float.POSITIVE_INFINITY : given;
            scores[row] = score;
            percentiles[row] = normal.map(known -> known.percentile(score)).orElse(Double.NaN);
            odd[row] = score > (float) threshold; // as numpy compares them
        }
        return new Scored(scores, percentiles, odd, threshold);
    }

    /**
     * Rows as a scorer takes them: of any finite values, since what is odd may be out of range. Of a row
     * without any value nothing can be said.
     *
     * @throws AeonnxException they have another type or shape, or other values
     */
    static Tensor rows(Variant variant, Tensor value) {
        TensorSpec input = variant.anyInputs().get(0).withAnyRange();
        Tensor rows = Values.input("scorer", input, value);
        Values.requireSome("scorer", input, rows);
        return rows;
    }

    /** Pixels, uint8 [n, C, H, W] or [C, H, W], as rows; none if the scorer takes no such pictures. */
    static Optional<Tensor> fromPixels(Variant variant, Tensor value) {
        TensorSpec input = variant.anyInputs().get(0);
        long[] shape = value.shape().length == 3 ? Verb.row(value) : value.shape();
        boolean good = value.dtype() == DType.UINT8 && Verb.takesPictures(input) && input.isLike(shape);
        if (!good) {
            return Optional.empty();
        }
        Tensor rows = new Tensor(DType.UINT8, shape, value.data());
        boolean same = input.dtype() == DType.UINT8;
        return Optional.of(same ? rows : Pixels.of(input.range()).toFloats(rows));
    }

    /**
     * The number that a threshold stands for.
     *
     * @param threshold a number, or the name of a percentile in the manifest
     * @throws AeonnxException it is neither
     */
    static double threshold(Variant variant, String threshold) {
        String output = Verb.score(variant).orElseThrow().name();
        Map<String, Double> known = variant.percentiles().getOrDefault(output, Map.of());
        double number = NUMBER.matcher(threshold).matches()
                ? Double.parseDouble(threshold) : Double.NaN;
        if (Double.isFinite(number)) {
            return number;
        }
        if (known.containsKey(threshold)) {
            return known.get(threshold);
        }
        if (known.isEmpty() && PERCENTILE.matcher(threshold).matches()) {
            throw new AeonnxException("threshold " + threshold + ": the manifest says nothing about the "
                    + "scores of normal images: give a number, or export again with --calibration IMAGES");
        }
        List<String> names = known.keySet().stream().sorted().toList();
        String or = names.isEmpty() ? "" : String.join(", ", names) + " or ";
        throw new AeonnxException(
                2, "threshold: expected " + or + "a number, got " + threshold);
    }

    private static Tensor labels(long rows, long label) {
        Tensor labels = Tensor.of(DType.INT64, rows);
        for (int row = 0; row < rows; row++) {
            labels.data().putLong(8 * row, label);
        }
        return labels;
    }
}
