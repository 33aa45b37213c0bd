package aeonnx;

import aeonnx.Variant.Stored;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A bundle: its graphs as functions of arrays, its golden vectors, and the verbs made of them. */
public final class Bundle implements AutoCloseable {
    private static final long MANIFEST = 1 << 24; // bytes, at most
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
                    + ". Make one with: aeonnx export --model MODEL -o " + name);
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
            long bytes = Tensor.bytes(item.dtype(), item.shape());
            byte[] data = read(item.file(), bytes, item.sha256());
            tensors.put(name, Tensor.of(item.dtype(), item.shape(), data));
        });
        return tensors;
    }

    /**
     * Golden inputs of all sets through the graph, all rows at once and each alone, beside what torch
     * gave.
     */
    public List<Checked> check(String name, String variantName) {
        return Checked.all(this, name, variantName);
    }

    /** Microseconds for the first golden row: the median of calls, after a warm-up. */
    public double time(String name, String variantName) {
        Part part = part(name, variantName);
        Map<String, Tensor> inputs = golden(part.variant.golden().get(0).inputs());
        Map<String, Tensor> row = part.rowsOf(inputs, 0, Math.max(part.variant.fixedRows(), 1));
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
        Verb.requireDenoiser(variant("denoiser", name));
        return part("denoiser", name);
    }

    /**
     * The part that `generate` runs.
     *
     * @throws AeonnxException by the manifest, it does not make images of a seed
     */
    public Part sampler() {
        Verb.requireSampler(variant("sampler", "fp32"));
        return part("sampler", "fp32");
    }

    /**
     * The part that `score` runs.
     *
     * @throws AeonnxException by the manifest, it does not score rows
     */
    public Part scorer() {
        Verb.requireScorer(variant("scorer", "fp32"));
        return part("scorer", "fp32");
    }

    /**
     * An image without its noise: uint8 [C, H, W] -> uint8 [C, H, W]. Where the denoiser's axes allow
     * other sizes, it is padded by reflection for the run; a large one runs in tiles.
     *
     * @throws AeonnxException the denoiser takes no such image
     */
    public Tensor denoise(Tensor image) {
        return Denoiser.denoise(denoiser(), image);
    }

    /**
     * New images: image i of a seed is the same in every language.
     *
     * @param seed 0 or more
     * @param label of all images, where the sampler takes one; else null
     * @param size of the images, such as height and width, where they may have any; nothing for that
     *     of the first golden vectors
     * @return uint8 [count, C, H, W]
     * @throws AeonnxException the sampler takes no label or needs one, or its labels are others; or
     *     its images cannot have this size
     */
    public Tensor generate(long seed, int count, Long label, long... size) {
        if (seed < 0 || count < 1) {
            throw new AeonnxException("expected a seed of 0 or more and images, got seed " + seed
                    + " and " + count + " images");
        }
        Part part = sampler();
        Verb.requireLabel("sampler", part.variant, label);
        return Sampler.generate(part, seed, count, label, size);
    }

    /**
     * How unlike those of the training rows are.
     *
     * @param x rows as the scorer takes them, of any finite values; where it takes images, also their
     *     pixels, uint8 [n, C, H, W], or those of one, [C, H, W]
     * @param threshold a number, or the name of a percentile in the manifest, such as "p99"
     * @param label of all rows, where the scorer takes one; else null
     * @throws AeonnxException the scorer takes no such rows, there is no such threshold, or the scorer
     *     takes no label or needs one, or its labels are others
     */
    public Scored score(Tensor x, String threshold, Long label) {
        Part part = scorer();
        double limit = Scorer.threshold(part.variant, threshold);
        Verb.requireLabel("scorer", part.variant, label);
        Tensor rows = Scorer.fromPixels(part.variant, x)
                .orElseGet(() -> Scorer.rows(part.variant, x));
        return Scorer.score(part, rows, limit, label);
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
