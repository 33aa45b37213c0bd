package aeonnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class ManifestTest {
    private static final String DIGEST = "0".repeat(64);
    private static final String PART = "parts.denoiser.fp32";
    private static final String GOOD = """
            {"format": "aeonnx-bundle", "version": 2, "model": "m", "parts": {"denoiser": {"fp32": {
              "file": "a.onnx", "sha256": "DIGEST", "bytes": 9, "opset": 18, "min_onnxruntime": "1.14",
              "inputs": [{"name": "x", "kind": "image", "dtype": "float32", "range": [0, 1],
                          "shape": ["batch", 1, "height", "width/2"]}],
              "outputs": [{"name": "y", "kind": "image", "dtype": "float32", "range": [0, 1],
                           "shape": ["batch", 1, "height", "width/2"]}],
              "axes": {"batch": {"multiple": 1, "min": 1, "max": null, "margin": null},
                       "height": {"multiple": 4, "min": 8, "max": 64, "margin": 3},
                       "width": {"multiple": 2, "min": 2, "max": null, "margin": 9}},
              "percentiles": {},
              "golden": [{
                "inputs": {"x": {"file": "x", "sha256": "DIGEST", "dtype": "float32",
                                 "shape": [2, 1, 8, 5]}},
                "outputs": {"y": {"file": "y", "sha256": "DIGEST", "dtype": "float32",
                                  "shape": [2, 1, 8, 5], "tolerance": [1, 2]}}}]}}}}
            """.replace("DIGEST", DIGEST);

    private static Manifest parsed(String text) {
        return Manifest.parse(text.getBytes(StandardCharsets.UTF_8), "m.json");
    }

    // The manifest with the first of a text replaced; the text is there.
    private static String with(String old, String changed) {
        assertTrue(GOOD.contains(old), old);
        int at = GOOD.indexOf(old);
        return GOOD.substring(0, at) + changed + GOOD.substring(at + old.length());
    }

    private static void refused(String reason, String old, String changed) {
        Refused.as("m.json: " + reason, () -> parsed(with(old, changed)));
    }

    @Test
    void axesAndShapesAreRead() {
        Variant variant = parsed(GOOD).parts().get("denoiser").get("fp32");
        assertEquals("x float32 [batch, 1, height, width/2]", variant.inputs().get(0).toString());
        assertEquals(new Axis(4, 8, 64L, 3L), variant.axes().get("height"));
        assertEquals(0, variant.fixedRows());
        assertEquals(Map.of("batch", 2L, "height", 8L, "width", 10L),
                variant.sizes(Map.of("x", new long[] {2, 1, 8, 5})));
    }

    @Test
    void otherVersionsSayWhatToDo() {
        refused("version 3 is newer than this program, which reads 2: take a newer one",
                "\"version\": 2", "\"version\": 3");
        refused("version 1 is older than this program, which reads 2: export the bundle again",
                "\"version\": 2", "\"version\": 1");
    }

    @Test
    void sizesAreNumbersOrAxes() {
        String expected = PART + ".inputs[0].shape: expected sizes above 0, \"batch\" for the first, or "
                + "axes such as \"height\" and \"height/8\", got ";
        for (String size : new String[] {"\"batch\"", "\"2*h/2\"", "\"Height\"", "\"h\\\"\"", "\"\""}) {
            refused(expected + size, "\"height\", \"width/2\"", size + ", \"width/2\"");
        }
        refused(expected + "\"2*batch\"", "[\"batch\"", "[\"2*batch\"");
        refused(PART + ".inputs[0].shape: expected fewer than 2^50 values, got a list of 4",
                "[\"batch\", 1", "[\"batch\", 1125899906842624");
        refused(PART + ".inputs[0].shape: expected a list of 4 for the kind image, got a list of 3",
                "\"height\", \"width/2\"", "\"height\"");
        refused(PART + ".inputs[0].shape: expected a list of 3 for the kind canvas, got a list of 4",
                "\"image\"", "\"canvas\"");
        refused(PART + ".inputs[0].kind: expected one of image, latent, codes, vector, signal, volume, "
                + "label, score, seed, index, canvas, mask, other, got \"picture\"", "\"image\"", "\"picture\"");
        refused(PART + ".inputs[0].range: expected a list, got nothing", "\"range\": [0, 1],", "");
    }

    @Test
    void valuesMayBeMissingAmongFloats() {
        assertFalse(parsed(GOOD).parts().get("denoiser").get("fp32").inputs().get(0).missing());
        for (boolean missing : new boolean[] {true, false}) {
            Variant variant = parsed(with("\"range\": [0, 1]", "\"range\": [0, 1], \"missing\": " + missing))
                    .parts().get("denoiser").get("fp32");
            assertEquals(missing, variant.inputs().get(0).missing());
            assertEquals(missing, variant.anyInputs().get(0).missing());
        }
        for (String none : new String[] {"1", "\"true\"", "null"}) {
            refused(PART + ".inputs[0].missing: expected true or false, got " + none,
                    "\"range\": [0, 1]", "\"range\": [0, 1], \"missing\": " + none);
        }
        refused(PART + ".inputs[0].missing: expected floats, which have NaN, got int64",
                "\"float32\", \"range\"", "\"int64\", \"missing\": true, \"range\"");
    }

    @Test
    void rulesOfAxesBelongTogether() {
        String axes = PART + ".axes";
        refused(axes + ".height.multiple: expected a whole number above 0, of at most 53 bits, got 0",
                "\"multiple\": 4", "\"multiple\": 0");
        refused(axes + ".height.min: expected a multiple of 4, got 9", "\"min\": 8", "\"min\": 9");
        refused(axes + ".height.max: expected a multiple of 4 of at least 8, got 4",
                "\"max\": 64", "\"max\": 4");
        refused(axes + ".height.max: expected a whole number above 0, of at most 53 bits, got nothing",
                "\"max\": 64,", "");
        refused(axes + ".height.margin: expected a whole number from 0 on, of at most 53 bits, got -1",
                "\"margin\": 3", "\"margin\": -1");
        refused(axes + ".width.multiple: expected a multiple of 2 for width/2, got 1",
                "{\"multiple\": 2", "{\"multiple\": 1");
        refused(axes + ": expected those of the tensors, [batch, height, width], got [batch, depth, width]",
                "\"height\": {", "\"depth\": {");
        Refused.as("m.json: " + PART + ".outputs: expected sizes that follow axes of the inputs, got "
                + "[height]", () -> parsed(with("\"height\", \"width/2\"", "8, \"width/2\"")));
    }

    @Test
    void rowsAreTheFirstSize() {
        Refused.as("m.json: " + PART + ".outputs: expected \"batch\" or a number of rows for the first "
                + "size, got width", () -> parsed(GOOD.replace("[\"batch\", 1", "[\"width\", 1")
                        .replace("\"batch\": {\"multiple\": 1, \"min\": 1, \"max\": null, "
                                + "\"margin\": null},", "")));
    }

    @Test
    void goldenVectorsHaveAllowedSizes() {
        String set = PART + ".golden[0].";
        refused(set + "inputs.x: height: expected a multiple of 4 from 8 to 64, got 10: the nearest is 12",
                "[2, 1, 8, 5]", "[2, 1, 10, 5]");
        refused(set + "outputs.y: expected float32 [2, 1, 12, 5], got float32 [2, 1, 8, 5]",
                "[2, 1, 8, 5]", "[2, 1, 12, 5]");
        refused(set + "inputs.x: expected float32 [batch, 1, height, width/2], got float32 [2, 3, 8, 5]",
                "[2, 1, 8, 5]", "[2, 3, 8, 5]");
        refused(set + "inputs.x.shape: expected at most 2147483639 bytes, got a list of 4",
                "[2, 1, 8, 5]", "[2, 1, 64, 5000000]");
        refused(set + "outputs.y.tolerance: expected 2 numbers above 0, got a list of 3",
                "[1, 2]", "[1, 2, 3]");
        refused(set + "outputs.y.tolerance[1]: expected a number above 0, got 0", "[1, 2]", "[1, 0]");
        refused(PART + ".golden: expected at least one set of vectors, got a list of 0",
                GOOD.substring(GOOD.indexOf("[{\n    \"inputs\": {\"x\""), GOOD.lastIndexOf("]") + 1), "[]");
        refused(PART + ".golden: expected a list, got an object",
                GOOD.substring(GOOD.indexOf("[{\n    \"inputs\": {\"x\""), GOOD.lastIndexOf("]") + 1), "{}");
    }

    @Test
    void aFixedNumberOfRowsHasWholeBatches() {
        String fixed = GOOD.replace("[\"batch\", 1", "[2, 1").replace("\"batch\": {\"multiple\": 1, "
                + "\"min\": 1, \"max\": null, \"margin\": null},", "");
        Variant variant = parsed(fixed).parts().get("denoiser").get("fp32");
        assertEquals(2, variant.fixedRows());
        Refused.as("m.json: " + PART + ".inputs: expected one with a first size of 2, as the outputs have",
                () -> parsed(fixed.replaceFirst("\\[2, 1, \"h", "[3, 1, \"h")));
        Refused.as("m.json: " + PART + ".golden[0].inputs: expected batches of 2 rows, got 3 rows",
                () -> parsed(fixed.replace("[2, 1, 8, 5]", "[3, 1, 8, 5]").replace("[1, 2]", "[1, 2, 3]")));
    }

    @Test
    void aSeedHasNoRows() {
        TensorSpec rows = new TensorSpec("i", DType.INT64, AxisTest.shape(1), null, Kind.INDEX);
        TensorSpec seed = new TensorSpec("s", DType.INT64, AxisTest.shape(1), null, Kind.SEED);
        Variant variant = parsed(GOOD).parts().get("denoiser").get("fp32");
        variant = new Variant("f", DIGEST, 1, 1, "1", List.of(seed, rows),
                List.of(rows), Map.of(), variant.golden(), Map.of(), Map.of());
        assertFalse(variant.hasRows(seed));
        assertTrue(variant.hasRows(rows));
    }

    @Test
    void aDenoiserMakesImagesOfOneImage() {
        String cannot = "this bundle's denoiser cannot denoise: expected ";
        Verb.requireDenoiser(parsed(GOOD).parts().get("denoiser").get("fp32"));
        unfit(cannot + "an input of the kind image, got x of other",
                GOOD.replaceFirst("\"image\"", "\"other\""));
        unfit(cannot + "y of the shape of x, image [batch, 1, height, width/2], got other "
                + "[batch, 1, height, width/2]", GOOD.replaceFirst("(?s)(image.*)\"image\"", "$1\"other\""));
        unfit(cannot + "images of 1 to 4 channels, got x float32 [batch, 5, height, width/2]",
                GOOD.replace(", 1, \"height", ", 5, \"height").replace("[2, 1, 8, 5]", "[2, 5, 8, 5]"));
        unfit(cannot + "x float32 [batch, 1, height, width/2] in a range [low, high] whose width is a "
                + "float32 above 0, got one of any range: export it with such a range, or take its floats "
                + "with the library's run", GOOD.replaceFirst("\\[0, 1\\]", "null"));
    }

    private static void unfit(String text, String manifest) {
        Variant variant = parsed(manifest).parts().get("denoiser").get("fp32");
        Refused.as(text, () -> Verb.requireDenoiser(variant));
    }
}
