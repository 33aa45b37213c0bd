package aeonnx;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.IntSupplier;

/** aeonnx check | denoise | generate | run | score. */
public final class Main {
    private static final String USAGE =
            """
            usage: aeonnx check BUNDLE [--time]
                   aeonnx denoise BUNDLE in.png out.png [--force]
                   aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size 64x48] out.png [--force]
                   aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]
                   aeonnx score BUNDLE FILE... [--threshold p99] [--label L] [-o scores.csv] [--force]
            in.png may be a PNG, JPEG or BMP file; out.png is written as PNG. run takes a file for
            each input of the part, and writes the outputs that are named. score takes pictures, or
            .npy files of rows; p99 may be a number. What is written is replaced only with --force.
            64x48 is height x width""";

    private Main() {}

    public static void main(String[] arguments) {
        Names.prepare();
        System.exit(exitCode(() -> run(Names.arguments(arguments))));
    }

    /** What a run gives, or the code of what went wrong, which is told on stderr. */
    static int exitCode(IntSupplier run) {
        try {
            return run.getAsInt();
        } catch (AeonnxException error) {
            System.err.println("Error: " + error.getMessage());
            if (error.exitCode == 2) {
                System.err.println(USAGE);
            }
            return error.exitCode;
        } catch (OutOfMemoryError | ArithmeticException error) { // of too many images
            System.err.println("Error: it does not fit into memory: " + error.getMessage());
        } catch (RuntimeException error) { // of a library, for instance
            System.err.println("Error: this is a bug: " + Names.printable(error.toString()));
        }
        return 1;
    }

    private static int run(List<String> words) {
        if (words.isEmpty()) {
            throw usage("expected a verb: check, denoise, generate, run or score");
        }
        String verb = words.remove(0);
        return switch (verb) {
            case "check" -> check(words);
            case "denoise" -> denoise(words);
            case "generate" -> generate(words);
            case "run" -> run(words, words.remove("--force"));
            case "score" -> score(words);
            case "-h", "--help" -> {
                System.out.println(USAGE);
                yield 0;
            }
            default -> throw usage("no such verb: " + verb);
        };
    }

    private static int check(List<String> words) {
        boolean timed = words.remove("--time");
        require(words, 1, "BUNDLE");
        int outputs = 0;
        boolean good = true;
        try (Bundle bundle = Bundle.open(Names.path(words.get(0)))) {
            for (var part : bundle.manifest.parts().entrySet()) {
                for (String variant : part.getValue().keySet()) {
                    for (Checked found : bundle.check(part.getKey(), variant)) {
                        print("%s %s %s %s: max error %.3g, tolerance %.3g",
                                found.ok() ? "ok" : "WRONG", found.part(), variant,
                                found.output(), found.error(), found.tolerance());
                        good &= found.ok();
                        outputs++;
                    }
                    if (timed) {
                        print("time %s %s: %.1f us for one row", part.getKey(), variant,
                                bundle.time(part.getKey(), variant));
                    }
                }
            }
            print("checked %d outputs of %d parts with onnxruntime %s",
                    outputs, bundle.manifest.parts().size(), Engine.version());
        }
        return good ? 0 : 3;
    }

    private static int denoise(List<String> words) {
        boolean force = words.remove("--force");
        require(words, 3, "BUNDLE in.png out.png");
        try (Bundle bundle = Bundle.open(Names.path(words.get(0)))) {
            Path to = Names.path(words.get(2));
            Part denoiser = bundle.denoiser(); // what it lacks is told of before a bad picture is
            Output.require(to, force);
            Tensor picture = Picture.read(Names.path(words.get(1)), denoiser.picture());
            Picture.writeGrid(to, bundle.denoise(picture), force);
        }
        return 0;
    }

    private static int generate(List<String> words) {
        long seed = number("--seed", option(words, "--seed", "0"), 0, Long.MAX_VALUE);
        long count = number("-n", option(words, "-n", "64"), 1, Integer.MAX_VALUE);
        Long label = label(words);
        long[] size = size(option(words, "--size", null));
        boolean force = words.remove("--force");
        require(words, 2, "BUNDLE out.png");
        try (Bundle bundle = Bundle.open(Names.path(words.get(0)))) {
            Path to = Names.path(words.get(1));
            Variant sampler = bundle.sampler().variant;
            Verb.requireLabel("sampler", sampler, label);
            Sampler.imageSizes(sampler, size);
            Output.require(to, force);
            Picture.writeGrid(to, bundle.generate(seed, (int) count, label, size), force);
        }
        return 0;
    }

    private static int run(List<String> words, boolean force) {
        requireNoOptions(words);
        if (words.size() < 2) {
            throw usage("expected BUNDLE PART input=in.npy ... output=out.npy ...");
        }
        try (Bundle bundle = Bundle.open(Names.path(words.get(0)))) {
            Run.run(bundle, words.get(1), words.subList(2, words.size()), force);
        }
        return 0;
    }

    private static int score(List<String> words) {
        String threshold = option(words, "--threshold", Scorer.USUAL);
        Long label = label(words);
        String table = option(words, "-o", null);
        boolean force = words.remove("--force");
        requireNoOptions(words);
        if (words.size() < 2) {
            throw usage("expected BUNDLE FILE...");
        }
        Path to = table == null ? null : Score.table(table);
        try (Bundle bundle = Bundle.open(Names.path(words.get(0)))) {
            Score.score(bundle, words.subList(1, words.size()), threshold, label, to, force);
        }
        return 0;
    }

    private static Long label(List<String> words) {
        String text = option(words, "--label", null);
        return text == null ? null : number("--label", text, Long.MIN_VALUE, Long.MAX_VALUE);
    }

    // The word after an option; both are taken out.
    private static String option(List<String> words, String name, String otherwise) {
        int at = words.indexOf(name);
        if (at < 0) {
            return otherwise;
        }
        if (at + 1 == words.size()) {
            throw usage(name + ": expected a value");
        }
        words.remove(at);
        return words.remove(at);
    }

    private static long number(String option, String text, long lowest, long largest) {
        try {
            long value = Long.parseLong(text);
            if (value >= lowest && value <= largest) {
                return value;
            }
        } catch (NumberFormatException error) {
            // told below
        }
        throw usage("%s: expected a whole number from %d to %d, got %s"
                .formatted(option, lowest, largest, text));
    }

    /** The numbers of a text such as 64x48; none of null. */
    static long[] size(String text) {
        if (text == null) {
            return new long[0];
        }
        try {
            if (text.matches("[0-9]+([xX][0-9]+)*")) {
                return Arrays.stream(text.split("[xX]")).mapToLong(Long::parseLong).toArray();
            }
        } catch (NumberFormatException error) {
            // told below
        }
        throw usage("--size: expected HEIGHTxWIDTH, such as 64x48, got " + text);
    }

    private static void require(List<String> words, int count, String what) {
        requireNoOptions(words);
        if (words.size() != count) {
            throw usage("expected " + what);
        }
    }

    private static void requireNoOptions(List<String> words) {
        words.stream().filter(word -> word.startsWith("-")).findFirst().ifPresent(option -> {
            throw usage("there is no option " + option);
        });
    }

    private static void print(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
    }

    private static AeonnxException usage(String text) {
        return new AeonnxException(2, text);
    }
}
