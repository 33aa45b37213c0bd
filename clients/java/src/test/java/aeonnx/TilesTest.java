package aeonnx;

import static aeonnx.AxisTest.shape;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aeonnx.Tiles.Cut;
import aeonnx.Tiles.Piece;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class TilesTest {
    private static final int MARGIN = 5;

    @Test
    void piecesCoverAnAxisAndMayBeRun() {
        Random random = new Random(0);
        for (int i = 0; i < 20_000; i++) {
            long multiple = 1 + random.nextInt(6);
            long min = multiple * (1 + random.nextInt(12));
            Axis axis = new Axis(multiple, min, null, (long) random.nextInt(20));
            long size = min + multiple * random.nextInt(60);
            Cut cut = Cut.of(axis, size, 1 + random.nextInt(80));
            long covered = 0;
            for (long number = 0; number < cut.count(); number++) {
                Piece piece = cut.at(number);
                String what = axis + " " + size + " " + piece;
                assertEquals(covered, piece.start(), what);
                assertTrue(axis.allows(piece.last() - piece.first()), what);
                assertTrue(piece.first() >= 0 && piece.last() <= size, what);
                assertTrue(piece.first() <= Math.max(0, piece.start() - axis.margin()), what);
                assertTrue(piece.last() >= Math.min(size, piece.stop() + axis.margin()), what);
                assertEquals(0, piece.first() % multiple, what);
                covered = piece.stop();
            }
            assertEquals(size, covered);
        }
    }

    @Test
    void aPieceReachesTheSmallestSize() {
        Cut cut = Cut.of(new Axis(1, 5, null, 1L), 8, 1);
        assertEquals(3, cut.count());
        assertEquals(new Piece(0, 3, 0, 5), cut.at(0));
        assertEquals(new Piece(6, 8, 3, 8), cut.at(2));
    }

    @Test
    void hugeNumbersStaySmallWork() {
        long most = Json.LARGEST;
        assertEquals(new Piece(0, 9, 0, 9), Cut.of(new Axis(1, 1, null, most), 9, 512).at(0));
        assertEquals(1, Cut.of(new Axis(most, most, null, most), most, 512).count());
        Cut deep = Cut.of(new Axis(1, 1, null, 300L), Integer.MAX_VALUE, 1);
        Piece end = deep.at(deep.count() - 1);
        assertEquals(Integer.MAX_VALUE, end.last());
        assertEquals(end.start() - 300, end.first());
    }

    // Each output is the largest input of its neighbourhood, of half the height.
    private static Map<String, Tensor> largest(Map<String, Tensor> inputs) {
        Tensor x = inputs.get("x");
        int rows = (int) x.rows();
        int high = (int) x.shape()[1];
        int wide = (int) x.shape()[2];
        Tensor y = Tensor.of(DType.UINT8, rows, high / 2, wide);
        for (int i = 0; i < y.count(); i++) {
            int row = i / (high / 2 * wide);
            int top = 2 * (i / wide % (high / 2));
            int left = i % wide;
            int best = 0;
            for (int v = Math.max(0, top - MARGIN); v < Math.min(high, top + MARGIN + 2); v++) {
                int from = (row * high + v) * wide;
                for (int u = Math.max(0, left - 1); u < Math.min(wide, left + 2); u++) {
                    best = Math.max(best, x.data().get(from + u) & 0xff);
                }
            }
            y.data().put(i, (byte) best);
        }
        return Map.of("y", y);
    }

    private static Variant variant(Long margin) {
        TensorSpec x = new TensorSpec(
                "x", DType.UINT8, shape("batch", "height", "width"), null, Kind.OTHER);
        TensorSpec y = new TensorSpec(
                "y", DType.UINT8, shape("batch", "height/2", "width"), null, Kind.OTHER);
        var axes = Map.of("batch", Axis.ANY, "height", new Axis(2, 2, null, (long) MARGIN + 1),
                "width", new Axis(1, 1, null, margin));
        return new Variant("f", "", 1, 1, "1.0", List.of(x), List.of(y), axes,
                List.of(), Map.of(), Map.of());
    }

    @Test
    void tilesGiveTheWhole() {
        Tensor x = Tensor.of(DType.UINT8, 2, 1030, 601);
        byte[] pixels = new byte[x.count()];
        new Random(1).nextBytes(pixels);
        x.data().put(0, pixels);
        int[] calls = {0};
        var found = Tiles.run(variant(1L), Map.of("batch", 2L, "height", 1030L, "width", 601L),
                Map.of("x", x), tile -> {
                    calls[0]++;
                    assertTrue(tile.get("x").shape()[1] <= 512 && tile.get("x").shape()[2] <= 512);
                    return largest(tile);
                });
        assertEquals(3 * 2, calls[0]);
        Tensor whole = largest(Map.of("x", x)).get("y");
        assertArrayEquals(whole.shape(), found.get("y").shape());
        assertEquals(0, whole.difference(found.get("y")));
    }

    @Test
    void onlyLargeRowsWithMarginsRunInTiles() {
        var large = Map.of("batch", 1L, "height", 2048L, "width", 2049L);
        var small = Map.of("batch", 99L, "height", 2048L, "width", 2048L);
        assertTrue(Tiles.isNeeded(variant(1L), large));
        assertFalse(Tiles.isNeeded(variant(1L), small));
        assertFalse(Tiles.isNeeded(variant(null), large));
    }

    @Test
    void paddingMirrorsWithoutItsEnds() {
        Tensor image = Tensor.of(DType.UINT8, 1, 1, 3);
        image.data().put(0, new byte[] {1, 2, 3});
        byte[] found = new byte[20];
        Reflection.pad(image, 2, 10).data().get(0, found);
        byte[] row = {1, 2, 3, 2, 1, 2, 3, 2, 1, 2};
        for (int i = 0; i < found.length; i++) {
            assertEquals(row[i % 10], found[i]);
        }
        Tensor cropped = Reflection.crop(Reflection.pad(image, 2, 10), 1, 3);
        assertTrue(cropped.isLike(image));
        assertEquals(0, cropped.difference(image));
    }

    @Test
    void imagesArePaddedToWhatAxesAllow() {
        var axes = Map.of("batch", Axis.ANY, "side", new Axis(8, 16, null, 0L), "h", Axis.ANY,
                "few", new Axis(8, 16, 32L, 0L));
        long[] real = {1, 1, 17, 30};
        assertArrayEquals(new long[] {1, 1, 32, 32}, allowed(shape("batch", 1, "side", "side"), axes, real));
        assertArrayEquals(new long[] {1, 1, 18, 32},
                allowed(shape("batch", 1, "3*h", "side/2"), axes, real));
        assertArrayEquals(new long[] {1, 1, 24, 40},
                allowed(shape("batch", 1, "few", "few"), axes, new long[] {1, 1, 24, 40}));
    }

    // A hostile bundle may ask for more pixels than memory has.
    @Test
    void imagesThatWouldBePaddedToTooManyPixelsAreRefused() {
        Tensor image = Tensor.of(DType.UINT8, 1, 2, 2);
        TensorSpec input = VerbTest.of("x", Kind.IMAGE, DType.UINT8, shape("batch", 1, "4*h", "4*h"));
        Map.of(1L << 14, 1L << 16, 1L << 38, 1L << 40, 1L << 52, Json.LARGEST).forEach((least, side) -> {
            var axes = Map.of("h", new Axis(1, least, null, 0L));
            Refused.asFailure("denoiser: x: uint8 [1, 1, 2, 2] needs images [1, 1, " + side + ", " + side
                    + "], of more than 178956970 pixels", () -> Denoiser.padded(input, axes, image));
        });
        assertArrayEquals(new long[] {1, 1, 13_376, 13_376},
                Denoiser.padded(input, Map.of("h", new Axis(3344, 1, null, 0L)), image));
    }

    @Test
    void placesInHugeRowsAreMirrored() {
        int size = Integer.MAX_VALUE - 1;
        assertEquals(size - 1, Reflection.mirrored(size - 1, size));
        assertEquals(size - 2, Reflection.mirrored(size, size));
    }

    private static long[] allowed(List<Size> shape, Map<String, Axis> axes, long[] real) {
        return Reflection.allowed(
                new TensorSpec("x", DType.UINT8, shape, null, Kind.IMAGE), axes, real);
    }

    @Test
    void arraysLargerThanOneCanBeAreRefused() {
        Refused.as("an array float32 [1, 4294967296] is more than 2147483647 bytes",
                () -> Tensor.of(DType.FLOAT32, 1, 1L << 32));
        Refused.as("an array uint8 [1, 9007199254740991, 9007199254740991] is more than 2147483647 bytes",
                () -> Reflection.pad(Tensor.of(DType.UINT8, 1, 1, 1), Json.LARGEST, Json.LARGEST));
    }
}
