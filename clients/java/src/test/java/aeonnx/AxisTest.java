package aeonnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aeonnx.Axis.Sized;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class AxisTest {
    private static final Axis EIGHTS = new Axis(8, 16, null, 0L);

    static List<Size> shape(Object... sizes) {
        List<Size> shape = new ArrayList<>();
        for (Object size : sizes) {
            shape.add(size instanceof Integer number
                    ? Size.of(number) : Size.following((String) size).orElseThrow());
        }
        return shape;
    }

    private static Sized sized(String name, List<Size> shape, long... real) {
        return new Sized(name, shape, real);
    }

    @Test
    void aTextIsASizeOrNone() {
        assertEquals(new Size("320*frames", "frames", 320, 1), Size.following("320*frames").get());
        assertEquals(new Size("height/8", "height", 1, 8), Size.following("height/8").get());
        for (String text : List.of("", "Height", "0*h", "2*h/2", "h*2", "h/0", "h\"", "h ", " h", "h\n",
                "1234567890*h", "-1", "h/-2", "8/h", "*h", "h/")) {
            assertTrue(Size.following(text).isEmpty(), text);
        }
    }

    @Test
    void sizesFollowFromInputs() {
        var axes = Map.of("batch", Axis.ANY, "height", EIGHTS, "frames", Axis.ANY);
        var sizes = Axis.solve(List.of(
                sized("x", shape("batch", 1, "height/8"), 3, 1, 5),
                sized("y", shape("batch", "320*frames"), 3, 640)), axes);
        assertEquals(Map.of("batch", 3L, "height", 40L, "frames", 2L), sizes);
        assertArrayEquals(new long[] {3, 7, 5, 640},
                Size.at(shape("batch", 7, "height/8", "320*frames"), sizes));
    }

    @Test
    void brokenRulesAreNamed() {
        var axes = Map.of("height", EIGHTS, "frames", Axis.ANY, "width", new Axis(4, 8, 64L, null));
        Refused.as("x: height: expected a multiple of 8 of at least 16, got 41: the nearest is 40",
                () -> Axis.solve(List.of(sized("x", shape("height"), 41)), axes));
        Refused.as("x: width: expected a multiple of 4 from 8 to 64, got 70: the nearest is 64",
                () -> Axis.solve(List.of(sized("x", shape("width"), 70)), axes));
        Refused.as("x: frames: expected a size of at least 1, got 0: the nearest is 1",
                () -> Axis.solve(List.of(sized("x", shape("frames"), 0)), axes));
        Refused.as("frames: expected one size in all inputs, got 10 in z and 12 in mask",
                () -> Axis.solve(List.of(
                        sized("z", shape("frames"), 10), sized("mask", shape("frames"), 12)), axes));
        Refused.as("x: expected a multiple of 16 for 16*frames, got 33",
                () -> Axis.solve(List.of(sized("x", shape("16*frames"), 33)), axes));
        Refused.as("x: expected a smaller size for frames/999999999, got 9007199254740991",
                () -> Axis.solve(List.of(
                        sized("x", shape("frames/999999999"), Json.LARGEST)), axes));
    }

    @Test
    void theNearestSizeIsAllowed() {
        for (long multiple : List.of(1L, 2L, 7L, 8L)) {
            for (Long max : new Long[] {null, 5 * multiple}) {
                Axis axis = new Axis(multiple, 2 * multiple, max, null);
                for (long size = 0; size < 60; size++) {
                    long nearest = axis.nearest(size);
                    assertTrue(axis.allows(nearest), axis + " " + size);
                    for (long other = 0; other < 80; other++) {
                        boolean farther = Math.abs(other - size) >= Math.abs(nearest - size);
                        assertTrue(!axis.allows(other) || farther, axis + " " + size);
                    }
                }
            }
        }
    }
}
