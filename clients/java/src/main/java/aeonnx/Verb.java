package aeonnx;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.LongStream;

/** What a verb asks of a part, by the manifest alone. */
record Verb(String part, String verb) {
    private static final Set<Kind> SCORED =
            Set.of(Kind.IMAGE, Kind.SIGNAL, Kind.VOLUME, Kind.VECTOR, Kind.OTHER);

    /** The one input of images, and the output that has their shape: uint8, or float32 of a range. */
    static void requireDenoiser(Variant variant) {
        Verb verb = new Verb("denoiser", "denoise");
        TensorSpec input = variant.inputs().get(0);
        TensorSpec output = variant.outputs().get(0);
        if (variant.inputs().size() != 1) {
            throw verb.lacks("1 input", variant.inputs().size() + ": " + names(variant.inputs()));
        }
        verb.requireKind("input", input, Kind.IMAGE);
        if (output.kind() != input.kind() || !output.shape().equals(input.shape())) {
            throw verb.lacks(output.name() + " of the shape of " + input.name() + ", " + shape(input),
                    shape(output));
        }
        verb.requireChannels(input);
        DType dtype = input.dtype() == DType.UINT8 ? DType.UINT8 : DType.FLOAT32;
        for (TensorSpec spec : List.of(input, output)) {
            verb.require(spec, dtype, spec.shape());
            verb.requirePixels(spec);
        }
    }

    /** A seed, and numbers and labels of rows, to images: of one size, or of that of a canvas. */
    static void requireSampler(Variant variant) {
        Verb verb = new Verb("sampler", "generate");
        Size rows = variant.outputs().get(0).shape().get(0);
        for (Kind kind : List.of(Kind.SEED, Kind.INDEX)) {
            if (find(variant, kind).isEmpty()) {
                throw verb.lacks("an input of the kind " + kind, kinds(variant.inputs()));
            }
        }
        boolean sized = find(variant, Kind.CANVAS).isPresent();
        boolean labelled = find(variant, Kind.LABEL).isPresent();
        if (variant.inputs().size() != 2 + (sized ? 1 : 0) + (labelled ? 1 : 0)) {
            throw verb.lacks("a seed, an index and at most a canvas and a label as inputs",
                    kinds(variant.inputs()));
        }
        TensorSpec image = image(variant)
                .orElseThrow(() -> verb.lacks("an output image", names(variant.outputs())));
        verb.requireKind("output", image, Kind.IMAGE);
        verb.requireChannels(image);
        List<Size> sizes = image.shape().subList(2, 4);
        if (!sized && !sizes.stream().allMatch(Size::isNumber)) {
            throw verb.lacks("images of one size", image.toString());
        }
        verb.require(image, DType.UINT8, image.shape());
        for (TensorSpec input : variant.inputs()) {
            switch (input.kind()) {
                case SEED -> verb.require(input, DType.INT64, List.of(Size.of(1)));
                case CANVAS -> verb.require(
                        input, DType.UINT8, List.of(rows, sizes.get(0), sizes.get(1)));
                default -> verb.require(input, DType.INT64, List.of(rows));
            }
        }
    }

    /** Rows of floats or pixels, and at most a label of each, to scores. */
    static void requireScorer(Variant variant) {
        Verb verb = new Verb("scorer", "score");
        TensorSpec score = score(variant).orElseThrow(
                () -> verb.lacks("an output of the kind score", names(variant.outputs())));
        Size rows = score.shape().get(0);
        verb.require(score, DType.FLOAT32, List.of(rows));
        TensorSpec input = variant.inputs().get(0);
        if (!SCORED.contains(input.kind())) {
            throw verb.lacks("a first input of the kind image, signal, volume, vector or other",
                    input.name() + " of " + input.kind());
        }
        if (input.dtype() != DType.FLOAT32 && input.dtype() != DType.UINT8) {
            throw verb.lacks(input.name() + " of float32 or uint8", input.typed());
        }
        if (!variant.hasRows(input)) {
            throw verb.lacks(input.name() + " with a first size of " + rows.text()
                    + ", as the scores have", input.typed());
        }
        List<TensorSpec> further = variant.inputs().subList(1, variant.inputs().size());
        if (further.size() > 1 || further.stream().anyMatch(spec -> spec.kind() != Kind.LABEL)) {
            throw verb.lacks("one input and at most a label", kinds(variant.inputs()));
        }
        further.forEach(label -> verb.require(label, DType.INT64, List.of(rows)));
    }

    /** Whether pixels of a picture can stand for an input. */
    static boolean takesPictures(TensorSpec input) {
        return input.kind() == Kind.IMAGE && hasChannels(input) && hasPixels(input);
    }

    /**
     * A label is there where a part takes one, and is one of its labels.
     *
     * @param part its name
     * @param label null for none
     */
    static void requireLabel(String part, Variant variant, Long label) {
        Optional<TensorSpec> input = find(variant, Kind.LABEL);
        if (input.isEmpty()) {
            if (label != null) {
                throw new AeonnxException(2, "this " + part + " takes no --label");
            }
            return;
        }
        double[] range = input.get().range();
        String labels = range == null ? ""
                : Values.plain(range[0]) + " to " + Values.plain(range[1]);
        if (label == null) {
            throw new AeonnxException(
                    2, "this " + part + " needs --label" + (range == null ? "" : ", " + labels));
        }
        if (range == null && label < 0) {
            throw new AeonnxException(
                    2, "--label: expected a whole number of 0 or more, got " + label);
        }
        if (range != null && (label < range[0] || label > range[1])) {
            throw new AeonnxException(2, "--label: expected a whole number from "
                    + labels + ", got " + label);
        }
    }

    /** A label that the part takes; null if it takes none. */
    static Long lowestLabel(Variant variant) {
        return find(variant, Kind.LABEL)
                .map(spec -> spec.range() == null ? 0L : (long) spec.range()[0]).orElse(null);
    }

    /** The sizes of one image [C, H, W] as a row. */
    static long[] row(Tensor image) {
        return LongStream.concat(LongStream.of(1), Arrays.stream(image.shape())).toArray();
    }

    /** The output of a sampler that is its images. */
    static Optional<TensorSpec> image(Variant variant) {
        return variant.outputs().stream().filter(spec -> spec.name().equals("image")).findFirst();
    }

    /** The output of a scorer that is its scores. */
    static Optional<TensorSpec> score(Variant variant) {
        return variant.outputs().stream().filter(spec -> spec.kind() == Kind.SCORE).findFirst();
    }

    /** The input of a kind. */
    static Optional<TensorSpec> find(Variant variant, Kind kind) {
        return variant.inputs().stream().filter(spec -> spec.kind() == kind).findFirst();
    }

    private void requireKind(String what, TensorSpec got, Kind kind) {
        if (got.kind() != kind) {
            throw lacks("an " + what + " of the kind " + kind, got.name() + " of " + got.kind());
        }
    }

    private void requireChannels(TensorSpec image) {
        if (!hasChannels(image)) {
            throw lacks("images of 1 to 4 channels", image.toString());
        }
    }

    private static boolean hasChannels(TensorSpec image) {
        Size channels = image.shape().get(1);
        return channels.isNumber() && channels.factor() <= 4;
    }

    private void require(TensorSpec got, DType dtype, List<Size> shape) {
        if (got.dtype() != dtype || !got.shape().equals(shape)) {
            throw lacks(got.name() + " " + dtype + " " + Size.text(shape), got.typed());
        }
    }

    // Whether pixels can stand for the values of an image.
    private static boolean hasPixels(TensorSpec image) {
        return image.dtype() == DType.UINT8
                || image.dtype() == DType.FLOAT32 && Pixels.fit(image.range());
    }

    private void requirePixels(TensorSpec image) {
        double[] range = image.range();
        if (!hasPixels(image)) {
            String got = range == null ? "one of any range" : "one in " + Values.inWords(range);
            throw lacks(image + " in a range [low, high] whose width is a float32 above 0",
                    got + ": export it with such a range, or take its floats with the library's run");
        }
    }

    private static String names(List<TensorSpec> specs) {
        return specs.stream().map(TensorSpec::name).collect(Collectors.joining(", "));
    }

    private static String kinds(List<TensorSpec> specs) {
        return specs.stream().map(spec -> spec.name() + " of " + spec.kind())
                .collect(Collectors.joining(", "));
    }

    /** "image [batch, 1, 28, 28]" */
    static String shape(TensorSpec spec) {
        return spec.kind() + " " + Size.text(spec.shape());
    }

    private AeonnxException lacks(String expected, String got) {
        return new AeonnxException("this bundle's " + part + " cannot " + verb + ": expected "
                + expected + ", got " + got);
    }
}
