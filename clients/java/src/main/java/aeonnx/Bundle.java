package aeonnx;

import aeonnx.Manifest.Stored;
import aeonnx.Manifest.Variant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A bundle: its graphs as functions of arrays, its golden vectors, and the verbs made of them. */
public final class Bundle implements AutoCloseable {
    private static final long MANIFEST = 1 << 24; // bytes, at most
    private static final int AT_ONCE = 64; // images that `generate` asks for in one run
    private static final int CALLS = 300;
    private static final int WARM_UP = 50;

    public final Path folder;
    public final Manifest manifest;
    private final Map<String, Part> parts = new HashMap<>();

    Bundle(Path folder, Manifest manifest) {
        this.folder = folder;
        this.manifest = manifest;
    }

    /**
     * What became of one golden output, by the worst of its rows: where error / tolerance is largest.
     *
     * @param error largest |output - golden| of the row, NaN if one of them is
     * @param tolerance of the row
     */
    public record Checked(
            String part, String variant, String output, double error, double tolerance) {
        public boolean ok() {
            return error <= tolerance;
        }

        // By its own tolerance, and NaN before all others.
        private boolean isWorseThan(Checked other) {
            return !Double.isNaN(other.error)
                    && !(error / tolerance <= other.error / other.tolerance);
        }

        // The worst of this and of rows of the output, from `first` on.
        private Checked and(Tensor found, Tensor expected, double[] tolerances, long first) {
            Checked worst = this;
            for (long row = 0; row < found.rows() && !Double.isNaN(worst.error); row++) {
                double error = found.rows(row, 1).difference(expected.rows(first + row, 1));
                var next = new Checked(part, variant, output, error, tolerances[(int) (first + row)]);
                worst = next.isWorseThan(worst) ? next : worst;
            }
            return worst;
        }
    }

    /**
     * Open a bundle; graphs are opened at first use.
     *
     * @throws AeonnxException there is none, or its manifest is damaged or of a newer format
     */
    public static Bundle open(Path folder) {
        Path path = folder.resolve("manifest.json");
        String name = Names.text(folder);
        if (!Files.exists(path)) {
            String what = Files.isDirectory(folder) ? "has no manifest.json" : "is not a folder";
            throw new AeonnxException("no bundle at " + name + ": it " + what
                    + ". Make one with: aeonnx export --model vae -o " + name);
        }
        try {
            return new Bundle(folder, Manifest.parse(Input.read(path, 0, MANIFEST), Names.text(path)));
        } catch (IOException | OutOfMemoryError error) {
            throw unread(path, error);
        }
    }

    public boolean has(String part, String variant) {
        return manifest.parts().getOrDefault(part, Map.of()).containsKey(variant);
    }

    /**
     * A part in a variant, "fp32", "int8-uint8" and the like, ready to run; the same one each time.
     *
     * @throws AeonnxException there is none, its file is missing or was changed, or the library is
     *     too old for it
     */
    public Part part(String name, String variant) {
        return parts.computeIfAbsent(name + " " + variant, key -> {
            Variant wanted = variant(name, variant);
            return new Part(name, wanted, read(wanted.file(), wanted.bytes(), wanted.sha256()));
        });
    }

    /** Stored arrays, with their digests and sizes checked. */
    public Map<String, Tensor> golden(Map<String, Stored> stored) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        stored.forEach((name, item) -> {
            long bytes = Tensor.count(item.shape()) * item.dtype().width;
            byte[] data = read(item.file(), bytes, item.sha256());
            tensors.put(name, Tensor.of(item.dtype(), item.shape(), data));
        });
        return tensors;
    }

    /** Golden inputs through the graph, all rows at once and each alone, beside what torch gave. */
    public List<Checked> check(String name, String variantName) {
        Part part = part(name, variantName);
        Variant variant = part.variant;
        Map<String, Tensor> inputs = golden(variant.goldenInputs());
        Map<String, Tensor> expected = golden(variant.goldenOutputs());
        List<Checked> outputs = new ArrayList<>();
        Map<String, Tensor> whole = part.run(inputs);
        whole.forEach((output, found) -> {
            boolean fits = found.isLike(expected.get(output)); // else there are no rows to compare
            outputs.add(new Checked(name, variantName, output, fits ? 0 : Double.NaN,
                    variant.goldenOutputs().get(output).tolerance()[0]));
        });
        judge(outputs, whole, expected, variant, 0);
        long rows = whole.values().iterator().next().rows();
        for (long row = 0; part.fixedRows() == Manifest.BATCH && row < rows; row++) {
            judge(outputs, part.run(part.rowsOf(inputs, row, 1)), expected, variant, row);
        }
        return outputs;
    }

    /** Microseconds for the first golden row: the median of calls, after a warm-up. */
    public double time(String name, String variantName) {
        Part part = part(name, variantName);
        Map<String, Tensor> inputs = golden(part.variant.goldenInputs());
        Map<String, Tensor> row = part.rowsOf(inputs, 0, Math.max(part.fixedRows(), 1));
        double[] taken = new double[CALLS];
        for (int call = 0; call < CALLS; call++) {
            long started = System.nanoTime();
            part.run(row);
            taken[call] = (System.nanoTime() - started) / 1e3;
        }
        double[] warm = Arrays.copyOfRange(taken, WARM_UP, CALLS);
        Arrays.sort(warm);
        return warm[warm.length / 2];
    }

    /**
     * The part that `denoise` runs: the variant that takes pixels, where there is one.
     *
     * @throws AeonnxException by the manifest, it does not make images of images
     */
    public Part denoiser() {
        String name = has("denoiser", "fp32-uint8") ? "fp32-uint8" : "fp32";
        Verb.requireDenoiser(variant("denoiser", name), manifest.inputShape());
        return part("denoiser", name);
    }

    /**
     * The part that `generate` runs.
     *
     * @throws AeonnxException by the manifest, it does not make images of a seed
     */
    public Part sampler() {
        Verb.requireSampler(variant("sampler", "fp32"), manifest.inputShape());
        return part("sampler", "fp32");
    }

    /** An image without its noise: uint8 [C, H, W] -> uint8 [C, H, W]. */
    public byte[] denoise(byte[] pixels) {
        Part part = denoiser();
        var input = part.variant.inputs().get(0);
        Tensor x = Tensor.of(input.dtype(), Verb.of(1, input.row()));
        if (pixels.length != x.count()) {
            throw new AeonnxException(
                    "expected an image of " + x.count() + " values, got " + pixels.length);
        }
        var output = part.variant.outputs().get(0);
        boolean asPixels = input.dtype() == DType.UINT8;
        if (asPixels) {
            x.data().put(0, pixels);
        } else {
            Pixels.of(input.range()).toFloats(pixels, x.data());
        }
        Tensor clean = part.run(Map.of(input.name(), x)).get(output.name());
        byte[] answer = new byte[pixels.length];
        if (asPixels) {
            clean.data().get(0, answer);
        } else {
            Pixels.of(output.range()).fromFloats(clean.data(), answer);
        }
        return answer;
    }

    /**
     * New images: image i of a seed is the same in every language.
     *
     * @param seed 0 or more
     * @return uint8 [count, C, H, W]
     */
    public byte[] generate(long seed, int count) {
        if (seed < 0 || count < 1) {
            throw new AeonnxException("expected a seed of 0 or more and images, got seed " + seed
                    + " and " + count + " images");
        }
        Part part = sampler();
        byte[] images = new byte[
                Math.toIntExact(Math.multiplyExact(Tensor.count(manifest.inputShape()), count))];
        Tensor seeds = Tensor.of(DType.INT64, 1);
        seeds.data().putLong(0, seed);
        int size = images.length / count;
        for (int first = 0; first < count; first += AT_ONCE) {
            int rows = Math.min(AT_ONCE, count - first);
            Tensor index = Tensor.of(DType.INT64, rows);
            for (int row = 0; row < rows; row++) {
                index.data().putLong(8 * row, (long) first + row);
            }
            Tensor image = part.run(Map.of("seed", seeds, "index", index)).get("image");
            image.data().get(0, images, first * size, rows * size);
        }
        return images;
    }

    /** Let go of all graphs. */
    @Override
    public void close() {
        parts.values().forEach(Part::close);
        parts.clear();
    }

    /** A file that the manifest names, with its size and digest checked. */
    byte[] read(String file, long bytes, String sha256) {
        Path path = Names.inside(folder, file);
        String other = Names.text(path) + " is not the file that the manifest names: expected ";
        if (!Files.exists(path)) {
            throw new AeonnxException(Names.text(path)
                    + " is missing, though the manifest names it: export the bundle again");
        }
        if (bytes > Input.MOST) {
            throw new AeonnxException(
                    Names.text(path) + ": " + bytes + " bytes are more than " + Input.MOST);
        }
        byte[] data;
        try {
            data = Input.read(path, bytes, bytes);
        } catch (Input.SizeException error) {
            throw new AeonnxException(other + bytes + " bytes, got " + error.size
                    + ". Export the bundle again.");
        } catch (IOException | OutOfMemoryError error) {
            throw unread(path, error);
        }
        String found = HexFormat.of().formatHex(sha256().digest(data));
        if (!found.equals(sha256)) {
            throw new AeonnxException(
                    other + "sha256 " + sha256 + ", got " + found + ". Export the bundle again.");
        }
        return data;
    }

    /** The manifest's entry of a variant; its absence is an error with what there is. */
    Variant variant(String part, String variant) {
        var variants = manifest.parts().get(part);
        if (variants == null) {
            throw new AeonnxException("this bundle has no part \"" + part + "\", it has: "
                    + String.join(", ", manifest.parts().keySet()) + ". Export it with: aeonnx "
                    + "export --model " + manifest.model() + " --part " + part);
        }
        if (!variants.containsKey(variant)) {
            throw new AeonnxException("part \"" + part + "\" has no variant \"" + variant
                    + "\", it has: " + String.join(", ", variants.keySet()));
        }
        return variants.get(variant);
    }

    private static void judge(List<Checked> outputs, Map<String, Tensor> found,
            Map<String, Tensor> expected, Variant variant, long first) {
        outputs.replaceAll(checked -> checked.and(found.get(checked.output()),
                expected.get(checked.output()),
                variant.goldenOutputs().get(checked.output()).tolerance(), first));
    }

    private static AeonnxException unread(Path path, Throwable error) {
        return new AeonnxException(
                "cannot read " + Names.text(path) + ": " + AeonnxException.reason(error));
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        }
    }
}
