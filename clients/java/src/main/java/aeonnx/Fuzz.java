package aeonnx;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Reads every FOLDER/manifests/*.json as if it were the manifest of FOLDER/bundle. */
final class Fuzz {
    private Fuzz() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        List<Path> paths;
        try (var found = Files.list(folder.resolve("manifests"))) {
            paths = found.sorted().toList();
        }
        for (Path path : paths) {
            String name = path.getFileName().toString().replaceFirst("\\.json$", "");
            try {
                readAll(folder.resolve("bundle"), Files.readAllBytes(path));
                System.out.println(name + " accepted");
            } catch (AeonnxException error) {
                System.out.println(name + " refused: " + error.getMessage());
            }
        }
    }

    // Every file that a manifest names, without the graphs being opened.
    private static void readAll(Path folder, byte[] text) {
        try (Bundle bundle = new Bundle(folder, Manifest.parse(text, "manifest.json"))) {
            for (var variants : bundle.manifest.parts().values()) {
                for (var variant : variants.values()) {
                    bundle.read(variant.file(), variant.sha256());
                    bundle.golden(variant.goldenInputs());
                    bundle.golden(variant.goldenOutputs());
                }
            }
        }
    }
}
