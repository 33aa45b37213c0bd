package aeonnx;

import static aeonnx.AxisTest.shape;
import static aeonnx.VerbTest.of;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ScoreTest {
    private static final Variant PICTURES = ScorerTest.scorer(
            Map.of(), of("x", Kind.IMAGE, DType.UINT8, shape("batch", 3, "height", "width")));
    private static final Variant VECTORS =
            ScorerTest.scorer(Map.of(), of("x", Kind.VECTOR, DType.FLOAT32, shape("batch", 3)));

    private static void written(String line, String name, float score, double percentile, boolean odd) {
        var found = new Scored(
                new float[] {0, score}, new double[] {0, percentile}, new boolean[] {!odd, odd}, 1);
        assertEquals(line + "\n", Score.line(name, found, 1));
    }

    @Test
    void aLineHasPlainNumbers() {
        written("a.png,0.5,12.25,normal", "a.png", 0.5f, 12.25, false);
        written("0,-1.0E20,0.0,odd", "0", -1e20f, 0, true);
        written("r.npy:7,inf,100.0,odd", "r.npy:7", Float.POSITIVE_INFINITY, 100, true);
        written("0,-inf,,normal", "0", Float.NEGATIVE_INFINITY, Double.NaN, false);
        written("0,nan,0.0,normal", "0", Float.NaN, 0, false);
    }

    @Test
    void aNameIsQuotedWhereItMustBe() {
        Map.of("a b;'.png", "a b;'.png", "a,b", "\"a,b\"", "\"a\"", "\"\"\"a\"\"\"", "a\rb", "\"a\rb\"",
                "a\nb", "\"a\nb\"", "\u00e9", "\u00e9", "a\u001bb", "a\u001bb", "", "")
                .forEach((name, quoted) -> written(quoted + ",1.0,2.0,odd", name, 1, 2, true));
    }

    @Test
    void aTableIsACsv() {
        assertEquals("Scores.CSV", Score.table("Scores.CSV").toString());
        for (String name : List.of("x.txt", "csv", "a.csv/b", "-")) {
            Refused.asUsage(name + ": expected a name that ends in .csv", () -> Score.table(name));
        }
    }

    @Test
    void aFileIsAPictureOrAnArray(@TempDir Path folder) throws IOException {
        Path array = folder.resolve("array.png");
        Path other = folder.resolve("other.npy");
        Path nothing = folder.resolve("nothing");
        Files.write(array, Npy.format(Tensor.of(DType.FLOAT32, 2, 3)));
        Files.write(other, new byte[] {(byte) 0x93, 'N', 'U'});
        assertTrue(Score.isArray(PICTURES, array));
        assertTrue(Score.isArray(VECTORS, array));
        assertFalse(Score.isArray(PICTURES, other));
        assertFalse(Score.isArray(PICTURES, nothing)); // the reader of pictures says that it is missing
        assertTrue(Score.isArray(VECTORS, nothing));
        Refused.asFailure(other + ": this scorer takes vector [batch, 3]: give a .npy file of rows",
                () -> Score.isArray(VECTORS, other));
        Refused.asFailure(folder + " is a folder: name the pictures in it, such as " + folder + "/*.png",
                () -> Score.isArray(PICTURES, folder));
        Refused.asFailure(folder + " is a folder: name the arrays in it, such as " + folder + "/*.npy",
                () -> Score.isArray(VECTORS, folder));
    }

    @Test
    void picturesAreForImagesThatPixelsCanBe() {
        assertTrue(takes(DType.FLOAT32, 3, -1, 1));
        assertTrue(takes(DType.UINT8, 4));
        assertFalse(takes(DType.FLOAT32, 3));
        assertFalse(takes(DType.FLOAT32, 3, 1, 1));
        assertFalse(takes(DType.FLOAT32, 5, 0, 1));
        assertFalse(takes(DType.FLOAT32, "height", 0, 1));
        assertFalse(Verb.takesPictures(VECTORS.inputs().get(0)));
    }

    private static boolean takes(DType dtype, Object channels, double... range) {
        return Verb.takesPictures(new TensorSpec("x", dtype, shape("batch", channels, 8, 8),
                range.length == 0 ? null : range, Kind.IMAGE));
    }
}
