package aeonnx;

import static aeonnx.AxisTest.shape;
import static aeonnx.VerbTest.ANY;
import static aeonnx.VerbTest.CANVAS;
import static aeonnx.VerbTest.INDEX;
import static aeonnx.VerbTest.SEED;
import static aeonnx.VerbTest.label;
import static aeonnx.VerbTest.of;
import static aeonnx.VerbTest.sampler;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aeonnx.Variant.Golden;
import aeonnx.Variant.Stored;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class SamplerTest {
    @Test
    void imagesHaveTheSizeThatIsAskedForOrThatOfTheGoldenVectors() {
        Variant any = sized(of("image", Kind.IMAGE, DType.UINT8, shape("batch", 3, "height", "width")));
        assertEquals(Map.of("height", 16L, "width", 24L), Sampler.imageSizes(any));
        assertEquals(Map.of("height", 64L, "width", 48L), Sampler.imageSizes(any, 64, 48));
        assertEquals(Map.of("height", 512L, "width", 1L << 40), Sampler.imageSizes(any, 512, 1L << 40));
        String height = "size: height: expected a multiple of 4 from 8 to 512, got ";
        Refused.asUsage(height + "30: the nearest is 32", () -> Sampler.imageSizes(any, 30, 48));
        Refused.asUsage(height + "0: the nearest is 8", () -> Sampler.imageSizes(any, 0, 48));
        Refused.asUsage("size: width: expected a multiple of 2 of at least 4, got 7: the nearest is 8",
                () -> Sampler.imageSizes(any, 64, 7));
        String two = "size: expected 2 numbers, height and width, got ";
        Refused.asUsage(two + "64", () -> Sampler.imageSizes(any, 64));
        Refused.asUsage(two + "64x48x3", () -> Sampler.imageSizes(any, 64, 48, 3));
        String whole = "size: expected whole numbers of at most 53 bits, got ";
        Refused.asUsage(whole + "64x-4", () -> Sampler.imageSizes(any, 64, -4));
        Refused.asUsage(whole + "9007199254740992x4", () -> Sampler.imageSizes(any, 1L << 53, 4));

        Variant wide = sized(of("image", Kind.IMAGE, DType.UINT8, shape("batch", 3, 16, "3*width")));
        assertEquals(Map.of("width", 8L), Sampler.imageSizes(wide));
        assertEquals(Map.of("width", 12L), Sampler.imageSizes(wide, 36));
        Refused.asUsage("size: expected a multiple of 3 for 3*width, got 40",
                () -> Sampler.imageSizes(wide, 40));
        Refused.asUsage("size: expected 1 number, 3*width, got 64x48",
                () -> Sampler.imageSizes(wide, 64, 48));

        Variant fixed = sized(of("image", Kind.IMAGE, DType.UINT8, shape("batch", 3, 16, 24)));
        assertEquals(Map.of(), Sampler.imageSizes(fixed));
        Refused.asUsage("size: expected none, the images of this bundle have one size",
                () -> Sampler.imageSizes(fixed, 16, 24));
    }

    // A sampler whose golden vectors have 16x24 pixels.
    private static Variant sized(TensorSpec image) {
        var stored = new Stored("f", "", DType.UINT8, new long[] {8, 3, 16, 24}, new double[8]);
        return new Variant("f", "", 1, 1, "1.0", List.of(SEED, INDEX, CANVAS), List.of(image),
                Map.of("height", new Axis(4, 8, 512L, null), "width", new Axis(2, 4, null, null)),
                List.of(new Golden(Map.of(), Map.of("image", stored))), Map.of(), Map.of());
    }

    @Test
    void aSamplerTakesNumbersAndACanvasOfTheSize() {
        var sizes = Map.of("batch", 3L, "height", 64L, "width", 6L);
        assertLongs(Sampler.drawn(SEED, sizes, 7, 64, 4L), 7);
        assertLongs(Sampler.drawn(INDEX, sizes, 7, 64, 4L), 64, 65, 66);
        assertLongs(Sampler.drawn(label(0, 4), sizes, 7, 64, 4L), 4, 4, 4);
        Tensor canvas = Sampler.drawn(CANVAS, sizes, 7, 64, null);
        assertTrue(canvas.isLike(Tensor.of(DType.UINT8, 3, 64, 12)));
        assertEquals(0, canvas.difference(Tensor.of(DType.UINT8, 3, 64, 12)));
    }

    private static void assertLongs(Tensor found, long... expected) {
        assertArrayEquals(new long[] {expected.length}, found.shape());
        long[] values = new long[expected.length];
        found.data().asLongBuffer().get(values);
        assertArrayEquals(expected, values);
    }

    @Test
    void fewerLargeImagesAreMadeAtOnce() {
        Variant free = sampler(ANY, SEED, INDEX, CANVAS);
        Variant fixed = sampler(of("image", Kind.IMAGE, DType.UINT8, shape(4, 3, 8, 8)));
        Map.of(28 * 28, 64, 256 * 256, 64, 3 * 256 * 256, 21, 3 * 512 * 512, 5, 3 * 1024 * 1024, 1,
                Integer.MAX_VALUE, 1).forEach((values, expected) -> {
                    assertEquals(expected, Sampler.atOnce(free, values), values + " values");
                    assertEquals(64, Sampler.atOnce(fixed, values));
                });
    }

    @Test
    void sizesAreNumbersWithAnXBetween() {
        assertArrayEquals(new long[] {64, 48}, Main.size("64x48"));
        assertArrayEquals(new long[] {0, 9}, Main.size("0X9"));
        assertArrayEquals(new long[] {8}, Main.size("8"));
        assertArrayEquals(new long[0], Main.size(null));
        for (String text : List.of(
                "x", "64x", "x48", "64x-8", "64x+8", "64 48", "64x4e1", "9223372036854775808x4")) {
            Refused.asUsage("--size: expected HEIGHTxWIDTH, such as 64x48, got " + text,
                    () -> Main.size(text));
        }
    }
}
