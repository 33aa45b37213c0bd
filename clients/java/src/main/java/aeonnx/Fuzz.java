package aeonnx;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Tries what is damaged: anything but an ordinary error is a fault. */
final class Fuzz {
    private static final String USAGE =
            """
            usage: Fuzz FOLDER            each FOLDER/manifests/*.json as the manifest of FOLDER/bundle
                   Fuzz --bundles FOLDER  all that the verbs do with each bundle FOLDER/*/, with the
                                          picture FOLDER/in.png""";

    private Fuzz() {}

    /** Does something with a file, and says in a word how it went. */
    private interface Trial {
        String of(Path path) throws IOException;
    }

    public static void main(String[] arguments) throws IOException {
        Names.prepare();
        List<String> words = Names.arguments(arguments);
        boolean bundles = words.remove("--bundles");
        if (words.size() != 1) {
            System.err.println("Error: expected a folder\n" + USAGE);
            System.exit(2);
        }
        Path folder = Names.path(words.get(0));
        if (bundles) {
            for (Path path : in(folder)) {
                if (Files.isDirectory(path)) {
                    say(name(path), path, bundle -> all(bundle, folder.resolve("in.png")));
                }
            }
        } else {
            for (Path path : in(folder.resolve("manifests"))) {
                String name = name(path).replaceFirst("\\.json$", "");
                say(name, path, file -> readAll(folder.resolve("bundle"), Files.readAllBytes(file)));
            }
        }
    }

    private static List<Path> in(Path folder) throws IOException {
        try (var found = Files.list(folder)) {
            return found.sorted().toList();
        }
    }

    private static String name(Path path) {
        String text = Names.text(path);
        return text.substring(text.lastIndexOf('/') + 1);
    }

    private static void say(String name, Path path, Trial trial) throws IOException {
        String word;
        try {
            word = trial.of(path);
        } catch (AeonnxException error) {
            word = "refused: " + error.getMessage();
        } catch (OutOfMemoryError | ArithmeticException error) {
            word = "refused: it does not fit into memory: " + error.getMessage();
        }
        System.out.println(Names.printable(name) + " " + word);
    }

    // Every file that a manifest names, without the graphs being opened.
    private static String readAll(Path folder, byte[] text) {
        try (Bundle bundle = new Bundle(folder, Manifest.parse(text, "manifest.json"))) {
            for (var variants : bundle.manifest.parts().values()) {
                for (var variant : variants.values()) {
                    bundle.read(variant.file(), variant.bytes(), variant.sha256());
                    for (Variant.Golden set : variant.golden()) {
                        bundle.golden(set.inputs());
                        bundle.golden(set.outputs());
                    }
                }
            }
        }
        return "accepted";
    }

    // What the verbs do, one after the other.
    private static String all(Path folder, Path picture) {
        try (Bundle bundle = Bundle.open(folder)) {
            boolean good = true;
            for (var part : bundle.manifest.parts().entrySet()) {
                for (String variant : part.getValue().keySet()) {
                    for (Checked found : bundle.check(part.getKey(), variant)) {
                        good &= found.ok();
                    }
                }
            }
            if (bundle.manifest.parts().containsKey("denoiser")) {
                Picture.png(bundle.denoise(Picture.read(picture, bundle.denoiser().picture())));
            }
            if (bundle.manifest.parts().containsKey("sampler")) {
                Picture.png(bundle.generate(0, 3, Verb.lowestLabel(bundle.sampler().variant)));
            }
            if (bundle.manifest.parts().containsKey("scorer")) {
                score(bundle);
            }
            return good ? "ok" : "wrong";
        }
    }

    // The stored rows, beside a threshold of the manifest where it has one.
    private static void score(Bundle bundle) {
        Variant scorer = bundle.scorer().variant;
        String input = scorer.inputs().get(0).name();
        Tensor rows = bundle.golden(scorer.golden().get(0).inputs()).get(input);
        String output = Verb.score(scorer).orElseThrow().name();
        String threshold = scorer.percentiles().getOrDefault(output, Map.of()).keySet().stream()
                .findFirst().orElse("0");
        bundle.score(rows, threshold, Verb.lowestLabel(scorer));
    }
}
