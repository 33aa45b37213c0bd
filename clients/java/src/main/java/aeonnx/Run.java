package aeonnx;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The verb `run`: a part on arrays of .npy files. */
final class Run {
    private Run() {}

    /**
     * Run the fp32 graph of a part.
     *
     * @param words NAME=FILE: a name that is an input is read, one that is an output is written
     * @throws AeonnxException a name is no tensor of the part, an input or all outputs are missing, a
     *     file is no array of its input, or cannot be written
     */
    static void run(Bundle bundle, String part, List<String> words, boolean force) {
        Variant variant = bundle.variant(part, "fp32");
        Map<String, Path> files = files(part, variant, words);
        List<TensorSpec> wanted = variant.outputs().stream()
                .filter(spec -> files.containsKey(spec.name()) && !isInput(variant, spec.name()))
                .toList();
        for (TensorSpec spec : variant.inputs()) {
            if (!files.containsKey(spec.name())) {
                throw usage(part + " needs " + spec.name() + "=FILE");
            }
        }
        if (wanted.isEmpty()) {
            String output = variant.outputs().get(0).name();
            throw usage("name an output, such as " + output + "=out.npy");
        }
        wanted.forEach(spec -> Output.require(files.get(spec.name()), force));
        Map<String, Tensor> inputs = new HashMap<>();
        for (TensorSpec spec : variant.anyInputs()) {
            Tensor value = Npy.read(files.get(spec.name()));
            inputs.put(spec.name(), Values.input(part, spec, value));
        }
        Map<String, Tensor> found = bundle.part(part, "fp32").run(inputs);
        wanted.forEach(spec ->
                Npy.write(files.get(spec.name()), found.get(spec.name()), force));
    }

    // The files by name, each of which is a tensor of the part; no output is written twice.
    private static Map<String, Path> files(String part, Variant variant, List<String> words) {
        List<String> names = Stream.concat(variant.inputs().stream(), variant.outputs().stream())
                .map(TensorSpec::name).toList();
        Map<String, Path> files = new LinkedHashMap<>();
        for (String word : words) {
            int split = word.indexOf('=');
            if (split < 1 || split == word.length() - 1) {
                throw usage("expected NAME=FILE, got " + word);
            }
            String name = word.substring(0, split);
            if (!names.contains(name)) {
                throw usage(part + " has no input or output " + name + ", it has: "
                        + names.stream().distinct().collect(Collectors.joining(", ")));
            }
            Path file = Names.path(word.substring(split + 1));
            boolean twice = files.containsKey(name)
                    || !isInput(variant, name) && files.containsValue(file);
            if (twice) {
                throw usage("expected each name and file once, got " + word + " as well");
            }
            files.put(name, file);
        }
        return files;
    }

    private static boolean isInput(Variant variant, String name) {
        return variant.inputs().stream().anyMatch(spec -> spec.name().equals(name));
    }

    private static AeonnxException usage(String text) {
        return new AeonnxException(2, text);
    }
}
