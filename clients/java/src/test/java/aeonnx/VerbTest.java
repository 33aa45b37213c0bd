package aeonnx;

import static aeonnx.AxisTest.shape;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class VerbTest {
    private static final TensorSpec SEED = of("seed", Kind.SEED, DType.INT64, shape(1));
    private static final TensorSpec INDEX = of("index", Kind.INDEX, DType.INT64, shape("batch"));
    private static final TensorSpec IMAGE =
            of("image", Kind.IMAGE, DType.UINT8, shape("batch", 3, 8, 8));
    private static final String CANNOT = "this bundle's sampler cannot generate: expected ";

    private static TensorSpec of(String name, Kind kind, DType dtype, List<Size> shape) {
        return new TensorSpec(name, dtype, shape, null, kind);
    }

    private static TensorSpec label(double... range) {
        return new TensorSpec("label", DType.INT64, shape("batch"),
                range.length == 0 ? null : range, Kind.LABEL);
    }

    private static Variant sampler(TensorSpec output, TensorSpec... inputs) {
        return new Variant("f", "", 1, 1, "1.0", List.of(inputs), List.of(output), Map.of(), List.of());
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
        unfit("a seed, an index and at most a label as inputs, got seed of seed, index of index, z of latent",
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
    void aLabelIsOneOfTheSamplers() {
        Variant labelled = sampler(IMAGE, SEED, INDEX, label(0, 9));
        Verb.requireLabel(labelled, 9L);
        Verb.requireLabel(sampler(IMAGE, SEED, INDEX), null);
        Refused.as("this sampler needs --label, 0 to 9", () -> Verb.requireLabel(labelled, null));
        Refused.as("--label: expected a whole number from 0 to 9, got 10",
                () -> Verb.requireLabel(labelled, 10L));
        Refused.as("this sampler needs --label",
                () -> Verb.requireLabel(sampler(IMAGE, SEED, INDEX, label()), null));
        Refused.as("this sampler takes no --label",
                () -> Verb.requireLabel(sampler(IMAGE, SEED, INDEX), 1L));
        assertEquals(3, Verb.lowestLabel(sampler(IMAGE, SEED, INDEX, label(3, 9))));
        assertNull(Verb.lowestLabel(sampler(IMAGE, SEED, INDEX)));
    }

    @Test
    void aShapeOfImagesNeedsItsRowsAlone() {
        assertArrayEquals(new long[] {5, 3, 8, 8}, Size.at(IMAGE.shape(), Map.of("batch", 5L)));
    }
}
