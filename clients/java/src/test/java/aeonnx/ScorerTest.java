package aeonnx;

import static aeonnx.AxisTest.shape;
import static aeonnx.VerbTest.label;
import static aeonnx.VerbTest.of;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class ScorerTest {
    private static final TensorSpec IMAGES = new TensorSpec(
            "x", DType.FLOAT32, shape("batch", 1, 2, 2), new double[] {-1, 1}, Kind.IMAGE);
    private static final TensorSpec ROWS =
            new TensorSpec("x", DType.FLOAT32, shape("batch", 3), null, Kind.VECTOR, true);
    private static final TensorSpec ERROR = of("error", Kind.SCORE, DType.FLOAT32, shape("batch"));
    private static final TensorSpec MAP = of("map", Kind.OTHER, DType.FLOAT32, shape("batch", 3));
    private static final Variant KNOWN = scorer(Map.of("error", Map.of("p99", 9.5, "p95", 0.1)), IMAGES);
    private static final Variant UNKNOWN = scorer(Map.of("map", Map.of("p99", 1.0)), ROWS);

    /** A scorer whose normal rows score 0, 1, ... 100, if they have percentiles. */
    static Variant scorer(Map<String, Map<String, Double>> percentiles, TensorSpec... inputs) {
        Map<String, Normal> normal = percentiles.containsKey("error")
                ? Map.of("error", new Normal(IntStream.range(0, 101).asDoubleStream().toArray()))
                : Map.of();
        return new Variant("f", "", 1, 1, "1.0", List.of(inputs), List.of(MAP, ERROR), Map.of(),
                List.of(), percentiles, normal);
    }

    private static Tensor floats(float... values) {
        Tensor tensor = Tensor.of(DType.FLOAT32, values.length);
        tensor.data().asFloatBuffer().put(values);
        return tensor;
    }

    @Test
    void aPercentileIsTheShareOfLowerNormalScores() {
        double[] quantiles = IntStream.range(0, 101).mapToDouble(i -> i < 50 ? i : i < 60 ? 50 : i * i)
                .toArray();
        Normal normal = new Normal(quantiles);
        Map.of(-1.0, 0.0, 0.0, 0.0, 0.25, 0.25, 7.0, 7.0, 50.0, 50.0, 3600.0, 60.0, 3660.5, 60.5,
                10000.0, 100.0, 10001.0, 100.0, Double.POSITIVE_INFINITY, 100.0)
                .forEach((score, expected) ->
                        assertEquals(expected, normal.percentile(score), 1e-12, "of " + score));
        assertEquals(59 + 1.0 / 3550, normal.percentile(51), 1e-12);
        assertEquals(0, normal.percentile(Double.NaN));
    }

    @Test
    void aScoreAboveTheThresholdIsOdd() {
        Tensor scores = floats(-1, 0.1f, 9.5f, 9.75f, Float.POSITIVE_INFINITY, Float.NaN);
        Scored found = Scorer.judged(KNOWN, scores, 9.5);
        float infinite = Float.POSITIVE_INFINITY;
        assertArrayEquals(
                new float[] {-1, 0.1f, 9.5f, 9.75f, infinite, infinite}, found.scores());
        assertArrayEquals(new double[] {0, 0.1f, 9.5, 9.75, 100, 100}, found.percentiles(), 1e-12);
        assertArrayEquals(new boolean[] {false, false, false, true, true, true}, found.odd());
        assertEquals(9.5, found.threshold());
        assertFalse(Scorer.judged(KNOWN, floats(0.1f), 0.1).odd()[0]); // 0.1 as a float32 is itself
        Scored bare = Scorer.judged(UNKNOWN, floats(1, -1), -0.5);
        assertArrayEquals(new double[] {Double.NaN, Double.NaN}, bare.percentiles());
        assertArrayEquals(new boolean[] {true, false}, bare.odd());
    }

    @Test
    void aThresholdIsANumberOrAPercentileOfTheOutput() {
        assertEquals(9.5, Scorer.threshold(KNOWN, "p99"));
        assertEquals(0.1, Scorer.threshold(KNOWN, "p95"));
        Map.of("0", 0.0, "-2", -2.0, "+.5", 0.5, "3.", 3.0, "-1.5e-3", -0.0015, "2E2", 200.0)
                .forEach((text, number) -> assertEquals(number, Scorer.threshold(UNKNOWN, text)));
        for (String text : List.of(
                "p98", "P99", "", "nan", "NaN", "Infinity", "1e999", "1f", "0x1p3", "1,5", "--1", ".")) {
            String got = ("got " + text).strip();
            Refused.asUsage("threshold: expected p95, p99 or a number, " + got,
                    () -> Scorer.threshold(KNOWN, text));
        }
        Refused.asUsage("threshold: expected a number, got high", () -> Scorer.threshold(UNKNOWN, "high"));
        Refused.asUsage("threshold: expected a number, got p9x", () -> Scorer.threshold(UNKNOWN, "p9x"));
        Refused.asFailure("threshold p99: the manifest says nothing about the scores of normal images: "
                + "give a number, or export again with --calibration IMAGES",
                () -> Scorer.threshold(UNKNOWN, "p99"));
    }

    @Test
    void rowsAreOfAnyFiniteValues() {
        Tensor wild = Tensor.of(DType.FLOAT64, 1, 1, 2, 2);
        wild.data().putDouble(0, 300);
        Tensor taken = Scorer.rows(KNOWN, wild);
        assertTrue(taken.isLike(Tensor.of(DType.FLOAT32, 1, 1, 2, 2)));
        assertEquals(300, taken.at(0));
        wild.data().putDouble(0, Double.NaN);
        Refused.as("scorer: x: expected finite values, got NaN or infinity",
                () -> Scorer.rows(KNOWN, wild));
        Tensor missing = Tensor.of(DType.FLOAT32, 1, 3);
        missing.data().putFloat(0, Float.NaN);
        assertTrue(Double.isNaN(Scorer.rows(UNKNOWN, missing).at(0)));
        missing.data().putFloat(0, Float.POSITIVE_INFINITY);
        Refused.as("scorer: x: expected finite values, got NaN or infinity",
                () -> Scorer.rows(UNKNOWN, missing));
        Refused.as("scorer: x: expected float32 [batch, 1, 2, 2], got uint8 [1, 1, 2, 2]",
                () -> Scorer.rows(KNOWN, Tensor.of(DType.UINT8, 1, 1, 2, 2)));
    }

    @Test
    void aRowWithoutAnyValueIsRefused() {
        TensorSpec windows =
                new TensorSpec("x", DType.FLOAT32, shape("batch", 1, 3), null, Kind.SIGNAL, true);
        for (TensorSpec input : List.of(ROWS, windows)) {
            Variant variant = scorer(Map.of(), input);
            Tensor rows = Tensor.of(DType.FLOAT32, Size.at(input.shape(), Map.of("batch", 2L)));
            for (int i = 0; i < 5; i++) {
                rows.data().putFloat(4 * (i < 2 ? i : i + 1), Float.NaN); // of the first row one is left
            }
            Refused.asFailure("scorer: x: expected a value in each row, got none in row 1: remove it",
                    () -> Scorer.rows(variant, rows));
            rows.data().putFloat(20, 7);
            assertEquals(7, Scorer.rows(variant, rows).at(5));
        }
        TensorSpec single = new TensorSpec("x", DType.FLOAT32, shape("batch"), null, Kind.OTHER, true);
        Tensor rows = floats(1, Float.NaN);
        assertTrue(Double.isNaN(Scorer.rows(scorer(Map.of(), single), rows).at(1)));
    }

    @Test
    void pixelsStandForFloatsOfTheRange() {
        Tensor pixels = Tensor.of(DType.UINT8, 1, 1, 2, 2);
        pixels.data().put(0, (byte) 255);
        for (Tensor given : List.of(pixels, new Tensor(DType.UINT8, new long[] {1, 2, 2}, pixels.data()))) {
            Tensor floats = Scorer.fromPixels(KNOWN, given).orElseThrow();
            assertTrue(floats.isLike(Tensor.of(DType.FLOAT32, 1, 1, 2, 2)));
            assertEquals(1, floats.at(0));
            assertEquals(-1, floats.at(1));
        }
        Variant ofPixels = scorer(Map.of(), of("x", Kind.IMAGE, DType.UINT8, shape("batch", 1, 2, 2)));
        assertEquals(255, Scorer.fromPixels(ofPixels, pixels).orElseThrow().at(0));
        assertTrue(Scorer.fromPixels(KNOWN, Tensor.of(DType.UINT8, 1, 3, 2, 2)).isEmpty());
        assertTrue(Scorer.fromPixels(KNOWN, Tensor.of(DType.FLOAT32, 1, 1, 2, 2)).isEmpty());
        assertTrue(Scorer.fromPixels(UNKNOWN, Tensor.of(DType.UINT8, 1, 3)).isEmpty());
    }

    @Test
    void aScorerMakesScoresOfRows() {
        String vectors = "got x of vector, ";
        Verb.requireScorer(scorer(Map.of(), IMAGES));
        Verb.requireScorer(scorer(Map.of(), ROWS, label(0, 9)));
        unfit("one input and at most a label, " + vectors + "label of label, label of label",
                ROWS, label(0, 9), label(0, 9));
        unfit("one input and at most a label, " + vectors + "mask of mask",
                ROWS, of("mask", Kind.MASK, DType.FLOAT32, shape("batch", 3)));
        unfit("label int64 [batch], got int32 [batch]",
                ROWS, of("label", Kind.LABEL, DType.INT32, shape("batch")));
        unfit("label int64 [batch], got int64 [batch, 2]",
                ROWS, of("label", Kind.LABEL, DType.INT64, shape("batch", 2)));
        unfit("a first input of the kind image, signal, volume, vector or other, got z of latent",
                of("z", Kind.LATENT, DType.FLOAT32, shape("batch", 3)), label(0, 9));
        unfit("x of float32 or uint8, got int64 [batch, 3]",
                of("x", Kind.OTHER, DType.INT64, shape("batch", 3)));
        unfit("x with a first size of batch, as the scores have, got float32 [1, 3]",
                of("x", Kind.VECTOR, DType.FLOAT32, shape(1, 3)), label(0, 9));
        TensorSpec image = of("reconstruction", Kind.IMAGE, DType.FLOAT32, IMAGES.shape());
        unfit("an output of the kind score, got reconstruction, map", List.of(image, MAP), IMAGES);
        unfit("error float32 [batch], got float64 [batch]",
                List.of(of("error", Kind.SCORE, DType.FLOAT64, shape("batch"))), IMAGES);
    }

    private static void unfit(String text, TensorSpec... inputs) {
        unfit(text, List.of(ERROR), inputs);
    }

    private static void unfit(String text, List<TensorSpec> outputs, TensorSpec... inputs) {
        Variant variant = new Variant("f", "", 1, 1, "1.0", List.of(inputs), outputs, Map.of(),
                List.of(), Map.of(), Map.of());
        Refused.as("this bundle's scorer cannot score: expected " + text,
                () -> Verb.requireScorer(variant));
    }
}
