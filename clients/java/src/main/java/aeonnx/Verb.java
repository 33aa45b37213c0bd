package aeonnx;

import aeonnx.Manifest.TensorSpec;
import aeonnx.Manifest.Variant;
import java.util.Arrays;
import java.util.List;

/** What a verb asks of a part, by the manifest alone. */
record Verb(String part, String verb) {
    /** Images to images: uint8, or float32 of a range. */
    static void requireDenoiser(Variant variant, long[] image) {
        Verb verb = new Verb("denoiser", "denoise");
        verb.requireChannels(image);
        if (variant.inputs().size() != 1) {
            throw verb.lacks("1 input", Integer.toString(variant.inputs().size()));
        }
        TensorSpec input = variant.inputs().get(0);
        TensorSpec output = variant.outputs().get(0);
        long rows = input.shape().length == 0 ? Manifest.BATCH : input.shape()[0];
        DType dtype = input.dtype() == DType.UINT8 ? DType.UINT8 : DType.FLOAT32;
        for (TensorSpec spec : List.of(input, output)) {
            verb.require(spec, new TensorSpec(spec.name(), dtype, of(rows, image), null));
            verb.requirePixels(spec);
        }
        verb.requireRows(variant, rows);
    }

    /** A seed and numbers to images. */
    static void requireSampler(Variant variant, long[] image) {
        Verb verb = new Verb("sampler", "generate");
        verb.requireChannels(image);
        List<String> names = variant.inputs().stream().map(TensorSpec::name).toList();
        if (names.size() != 2) {
            throw verb.lacks("the inputs seed and index", names.toString());
        }
        TensorSpec index = verb.named(variant.inputs(), "index", "int64 [batch]");
        long rows = index.shape().length == 0 ? Manifest.BATCH : index.shape()[0];
        verb.require(verb.named(variant.inputs(), "seed", "int64 [1]"),
                new TensorSpec("seed", DType.INT64, new long[] {1}, null));
        verb.require(index, new TensorSpec("index", DType.INT64, new long[] {rows}, null));
        TensorSpec images = new TensorSpec("image", DType.UINT8, of(rows, image), null);
        verb.require(verb.named(variant.outputs(), "image", images.toString().substring(6)), images);
        verb.requireRows(variant, rows);
    }

    /** A shape of so many rows. */
    static long[] of(long rows, long[] row) {
        long[] shape = new long[row.length + 1];
        shape[0] = rows;
        System.arraycopy(row, 0, shape, 1, row.length);
        return shape;
    }

    private void requireChannels(long[] image) {
        if (image[0] > 4) {
            throw lacks("images of 1 to 4 channels", Manifest.inWords(image));
        }
    }

    private void requireRows(Variant variant, long rows) {
        for (TensorSpec output : variant.outputs()) {
            require(output, new TensorSpec(output.name(), output.dtype(), of(rows, output.row()), null));
        }
    }

    private TensorSpec named(List<TensorSpec> specs, String name, String expected) {
        return specs.stream().filter(spec -> spec.name().equals(name)).findFirst()
                .orElseThrow(() -> lacks(name + " " + expected, "none"));
    }

    private void require(TensorSpec got, TensorSpec expected) {
        if (got.dtype() != expected.dtype() || !Arrays.equals(got.shape(), expected.shape())) {
            throw lacks(expected.toString(), got.dtype().text + " " + Manifest.inWords(got.shape()));
        }
    }

    // Whether pixels can stand for the values of an image.
    private void requirePixels(TensorSpec image) {
        double[] range = image.range();
        if (image.dtype() == DType.FLOAT32 && !Pixels.fit(range)) {
            String got = range == null ? "one of any range"
                    : "one in [" + plain(range[0]) + ", " + plain(range[1]) + "]";
            throw lacks(image + " in a range [low, high] whose width is a float32 above 0",
                    got + ": export it with such a range, or take its floats with the library's run");
        }
    }

    private static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e9
                ? Long.toString((long) value) : Double.toString(value);
    }

    private AeonnxException lacks(String expected, String got) {
        return new AeonnxException("this bundle's " + part + " cannot " + verb + ": expected "
                + expected + ", got " + got);
    }
}
