package aeonnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

final class NormalTest {
    private static final String PART = "m.json: parts.scorer.fp32.";
    private static final String TEXT = """
            {"format": "aeonnx-bundle", "version": 2, "model": "m", "parts": {"scorer": {"fp32": {
              "file": "a.onnx", "sha256": "DIGEST", "bytes": 9, "opset": 18, "min_onnxruntime": "1.14",
              "inputs": [{"name": "x", "kind": "vector", "dtype": "float32", "range": null,
                          "shape": ["batch", 3]}],
              "outputs": [{"name": "error", "kind": "score", "dtype": "float32", "range": null,
                           "shape": ["batch"]}],
              "axes": {"batch": {"multiple": 1, "min": 1, "max": null, "margin": 0}},
              SCORES
              "golden": [{
                "inputs": {"x": {"file": "x", "sha256": "DIGEST", "dtype": "float32", "shape": [2, 3]}},
                "outputs": {"error": {"file": "y", "sha256": "DIGEST", "dtype": "float32",
                                      "shape": [2], "tolerance": [1, 2]}}}]}}}}
            """.replace("DIGEST", "0".repeat(64));
    private static final String P99 = "\"percentiles\": {\"error\": {\"p99\": 1.5}},";

    private static Variant parsed(String scores) {
        byte[] text = TEXT.replace("SCORES", scores).getBytes(StandardCharsets.UTF_8);
        return Manifest.parse(text, "m.json").parts().get("scorer").get("fp32");
    }

    private static void refused(String reason, String scores) {
        Refused.as(PART + reason, () -> parsed(scores));
    }

    private static String normal(String quantiles) {
        return P99 + "\"normal\": {\"error\": {\"quantiles\": [" + quantiles + "]}},";
    }

    // Numbers from 0 on, of which one is other.
    private static String quantiles(int count, int place, String other) {
        return DoubleStream.iterate(0, number -> number + 1).limit(count)
                .mapToObj(number -> number == place ? other : Double.toString(number))
                .collect(Collectors.joining(", "));
    }

    @Test
    void whatNormalRowsScoreIsRead() {
        Variant bare = parsed("\"percentiles\": {},");
        assertTrue(bare.percentiles().isEmpty() && bare.normal().isEmpty());
        Variant named = parsed("\"percentiles\": {\"error\": {\"p99\": 1.5, \"P 9\": -2}},");
        assertEquals(Map.of("error", Map.of("p99", 1.5, "P 9", -2.0)), named.percentiles());
        Normal known = parsed(normal(quantiles(101, 4, "3e0"))).normal().get("error");
        assertEquals(3, known.percentile(3)); // as well as 4 %
        assertEquals(4.25, known.percentile(3.5));
    }

    @Test
    void percentilesAreNumbersOfOutputs() {
        refused("percentiles: expected an object, got nothing", "");
        refused("percentiles: expected outputs of the graph, got [errors]",
                "\"percentiles\": {\"error\": {}, \"errors\": {\"p99\": 1}},");
        refused("percentiles.error: expected an object, got 1", "\"percentiles\": {\"error\": 1},");
        for (String value : new String[] {"\"1\"", "true", "null"}) {
            refused("percentiles.error.p99: expected a finite number, got " + value,
                    "\"percentiles\": {\"error\": {\"p99\": " + value + "}},");
        }
        refused("percentiles.error.p99: expected a finite number, got 1e999",
                "\"percentiles\": {\"error\": {\"p99\": 1e999}},");
    }

    @Test
    void quantilesAscend() {
        String expected = ".quantiles: expected 101 finite numbers in ascending order, got a list of ";
        for (int count : new int[] {0, 100, 102}) {
            refused("normal.error" + expected + count, normal(quantiles(count, -1, "")));
        }
        refused("normal.error" + expected + 101, normal(quantiles(101, 100, "98.5")));
        refused("normal.error.quantiles[7]: expected a finite number, got \"7\"",
                normal(quantiles(101, 7, "\"7\"")));
        refused("normal.error.quantiles: expected a list, got nothing",
                P99 + "\"normal\": {\"error\": {}},");
        refused("normal: expected an object, got null", P99 + "\"normal\": null,");
        refused("normal: expected outputs with percentiles, got [error]",
                normal(quantiles(101, -1, "")).replace(P99, "\"percentiles\": {},"));
    }
}
