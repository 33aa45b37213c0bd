package aeonnx;

import static aeonnx.AxisTest.shape;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class VerbTest {
    static final TensorSpec SEED = of("seed", Kind.SEED, DType.INT64, shape(1));
    static final TensorSpec INDEX = of("index", Kind.INDEX, DType.INT64, shape("batch"));
    private static final TensorSpec IMAGE =
            of("image", Kind.IMAGE, DType.UINT8, shape("batch", 3, 8, 8));
    static final TensorSpec ANY =
            of("image", Kind.IMAGE, DType.UINT8, shape("batch", 3, "height", "2*width"));
    static final TensorSpec CANVAS = canvas(DType.UINT8, "batch", "height", "2*width");
    private static final String CANNOT = "this bundle's sampler cannot generate: expected ";

    static TensorSpec of(String name, Kind kind, DType dtype, List<Size> shape) {
        return new TensorSpec(name, dtype, shape, null, kind);
    }

    private static TensorSpec canvas(DType dtype, Object... sizes) {
        return of("canvas", Kind.CANVAS, dtype, shape(sizes));
    }

    static TensorSpec label(double... range) {
        return new TensorSpec("label", DType.INT64, shape("batch"),
                range.length == 0 ? null : range, Kind.LABEL);
    }

    static Variant sampler(TensorSpec output, TensorSpec... inputs) {
        return new Variant("f", "", 1, 1, "1.0", List.of(inputs), List.of(output), Map.of(),
                List.of(), Map.of(), Map.of());
    }

    private static void unfit(String text, TensorSpec output, TensorSpec... inputs) {
        Refused.as(CANNOT + text, () -> Verb.requireSampler(sampler(output, inputs)));
    }

    @Test
    void aSamplerMakesImagesOfASeed() {
        Verb.requireSampler(sampler(IMAGE, SEED, INDEX));
        Verb.requireSampler(sampler(IMAGE, label(0, 9), INDEX, SEED));
        unfit("an input of the kind seed, got index of index", IMAGE, INDEX);
        unfit("an input of the kind index, got seed of seed", IMAGE, SEED);
        unfit("a seed, an index and at most a canvas and a label as inputs, got seed of seed, index of index, z of latent",
                IMAGE, SEED, INDEX, of("z", Kind.LATENT, DType.FLOAT32, shape("batch", 4)));
        unfit("index int64 [batch], got int32 [batch]", IMAGE, SEED,
                of("index", Kind.INDEX, DType.INT32, shape("batch")));
        unfit("seed int64 [1], got int64 [batch]", IMAGE, INDEX,
                of("seed", Kind.SEED, DType.INT64, shape("batch")));
        unfit("an output image, got z", of("z", Kind.LATENT, DType.FLOAT32, shape("batch", 4)),
                SEED, INDEX);
        unfit("an output of the kind image, got image of latent",
                of("image", Kind.LATENT, DType.UINT8, shape("batch", 4)), SEED, INDEX);
        unfit("images of one size, got image uint8 [batch, 1, h, 8]",
                of("image", Kind.IMAGE, DType.UINT8, shape("batch", 1, "h", 8)), SEED, INDEX);
        unfit("image uint8 [batch, 1, 8, 8], got float32 [batch, 1, 8, 8]",
                of("image", Kind.IMAGE, DType.FLOAT32, shape("batch", 1, 8, 8)), SEED, INDEX);
    }

    @Test
    void aCanvasHasTheSizeOfTheImages() {
        String inputs = "a seed, an index and at most a canvas and a label as inputs, got seed of seed, ";
        Verb.requireSampler(sampler(ANY, SEED, INDEX, CANVAS));
        Verb.requireSampler(sampler(ANY, SEED, INDEX, CANVAS, label(0, 4)));
        Verb.requireSampler(sampler(IMAGE, SEED, INDEX, canvas(DType.UINT8, "batch", 8, 8)));
        unfit("canvas uint8 [batch, height, 2*width], got int64 [batch, height, 2*width]",
                ANY, SEED, INDEX, canvas(DType.INT64, "batch", "height", "2*width"));
        unfit("canvas uint8 [batch, height, 2*width], got uint8 [batch, 2*width, height]",
                ANY, SEED, INDEX, canvas(DType.UINT8, "batch", "2*width", "height"));
        unfit("canvas uint8 [batch, height, 2*width], got uint8 [1, height, 2*width]",
                ANY, SEED, INDEX, canvas(DType.UINT8, 1, "height", "2*width"));
        unfit("canvas uint8 [batch, height, 2*width], got uint8 [batch, 3, height, 2*width]",
                ANY, SEED, INDEX, canvas(DType.UINT8, "batch", 3, "height", "2*width"));
        unfit(inputs + "index of index, canvas of canvas, canvas of canvas",
                ANY, SEED, INDEX, CANVAS, CANVAS);
        unfit(inputs + "index of index, canvas of canvas, canvas of canvas, label of label",
                ANY, SEED, INDEX, CANVAS, CANVAS, label(0, 4));
        unfit("an input of the kind index, got seed of seed, canvas of canvas", ANY, SEED, CANVAS);
    }

    @Test
    void aLabelIsOneOfTheSamplers() {
        Variant labelled = sampler(IMAGE, SEED, INDEX, label(0, 9));
        Verb.requireLabel("sampler", labelled, 9L);
        Verb.requireLabel("sampler", sampler(IMAGE, SEED, INDEX), null);
        Refused.asUsage("this sampler needs --label, 0 to 9",
                () -> Verb.requireLabel("sampler", labelled, null));
        Refused.asUsage("this scorer needs --label, 0 to 9",
                () -> Verb.requireLabel("scorer", labelled, null));
        Refused.as("--label: expected a whole number from 0 to 9, got 10",
                () -> Verb.requireLabel("sampler", labelled, 10L));
        Refused.as("this sampler needs --label",
                () -> Verb.requireLabel("sampler", sampler(IMAGE, SEED, INDEX, label()), null));
        Refused.as("this sampler takes no --label",
                () -> Verb.requireLabel("sampler", sampler(IMAGE, SEED, INDEX), 1L));
        Variant endless = sampler(IMAGE, SEED, INDEX, label());
        Verb.requireLabel("sampler", endless, 0L);
        Verb.requireLabel("sampler", sampler(IMAGE, SEED, INDEX, label(-1, 9)), -1L);
        Refused.asUsage("--label: expected a whole number of 0 or more, got -1",
                () -> Verb.requireLabel("sampler", endless, -1L));
        assertEquals(3, Verb.lowestLabel(sampler(IMAGE, SEED, INDEX, label(3, 9))));
        assertNull(Verb.lowestLabel(sampler(IMAGE, SEED, INDEX)));
    }

    @Test
    void aShapeOfImagesNeedsItsRowsAlone() {
        assertArrayEquals(new long[] {5, 3, 8, 8}, Size.at(IMAGE.shape(), Map.of("batch", 5L)));
    }
}
