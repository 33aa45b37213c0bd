package aeonnx;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Pads images to sizes that a part's axes allow, by reflection at their bottom and right. */
final class Reflection {
    private Reflection() {}

    /**
     * The sizes of an input from these on that its axes allow; sizes above the largest stay. A size that
     * no array has is the largest number.
     *
     * @param real as many as the input has, those that are declared as numbers equal to these
     */
    static long[] allowed(TensorSpec spec, Map<String, Axis> axes, long[] real) {
        Map<String, Long> wanted = new HashMap<>();
        for (int i = 0; i < real.length; i++) {
            Size size = spec.shape().get(i);
            if (!size.isNumber() && !size.isRows()) {
                long least = (Math.multiplyExact(real[i], size.divisor()) + size.factor() - 1)
                        / size.factor();
                wanted.merge(size.axis(), axes.get(size.axis()).atLeast(least), Math::max);
            }
        }
        long[] sizes = real.clone();
        for (int i = 0; i < real.length; i++) {
            String axis = spec.shape().get(i).axis();
            if (wanted.containsKey(axis) && axes.get(axis).allows(wanted.get(axis))) {
                Size size = spec.shape().get(i);
                boolean fits = wanted.get(axis) <= Json.LARGEST / size.factor();
                sizes[i] = fits ? size.at(wanted.get(axis)) : Json.LARGEST;
            }
        }
        return sizes;
    }

    /** A uint8 image [C, H, W] of `height` and `width`, each its own or larger. */
    static Tensor pad(Tensor image, long height, long width) {
        int high = (int) image.shape()[1];
        int wide = (int) image.shape()[2];
        if (high == height && wide == width) {
            return image;
        }
        Tensor padded = Tensor.of(DType.UINT8, image.shape()[0], height, width);
        int to = 0;
        for (int channel = 0; channel < image.shape()[0]; channel++) {
            for (int y = 0; y < height; y++) {
                int row = (channel * high + mirrored(y, high)) * wide;
                for (int x = 0; x < width; x++) {
                    padded.data().put(to++, image.data().get(row + mirrored(x, wide)));
                }
            }
        }
        return padded;
    }

    /** The upper left of a uint8 image [C, H, W]. */
    static Tensor crop(Tensor image, long height, long width) {
        if (List.of(height, width).equals(List.of(image.shape()[1], image.shape()[2]))) {
            return image;
        }
        Tensor cropped = Tensor.of(DType.UINT8, image.shape()[0], height, width);
        image.copyTo(cropped, new long[3], new long[3], cropped.shape());
        return cropped;
    }

    /** The place in a row of `size` that a place behind its end shows; the ends are not repeated. */
    static int mirrored(int place, int size) {
        if (size == 1) {
            return 0;
        }
        long period = 2L * (size - 1);
        long inside = place % period;
        return (int) Math.min(inside, period - inside);
    }
}
