package aeonnx;

import static aeonnx.Json.expect;

import aeonnx.Variant.Golden;
import aeonnx.Variant.Stored;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * What a bundle's manifest.json says, checked.
 *
 * @param model name of the model
 * @param parts graphs by part, then by variant
 */
public record Manifest(String model, Map<String, Map<String, Variant>> parts) {
    private static final long VERSION = 2;
    private static final long VALUES = 1L << 50; // fewer than this: 8 bytes of each are exact anywhere
    private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_]*");
    private static final Pattern VARIANT = Pattern.compile("[a-z][a-z0-9-]*");
    private static final Pattern ANY = Pattern.compile(".*", Pattern.DOTALL);
    private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{64}");

    /** Reads the sizes of a list, at a place each. */
    private interface SizeReader {
        Size read(JsonElement value, String path, int place);
    }

    /**
     * Read a manifest: what is used is checked, the rest is skipped.
     *
     * @param where its name in messages
     * @throws AeonnxException names the field, what was expected and what came
     */
    public static Manifest parse(byte[] text, String where) {
        return Json.document(text, where, Manifest::manifest);
    }

    private static Manifest manifest(JsonElement value) {
        JsonObject document = Json.object(value, "the manifest");
        String format = Json.string(document.get("format"), "format");
        expect(format.equals("aeonnx-bundle"), "format", "\"aeonnx-bundle\"", document.get("format"));
        requireVersion(Json.size(document.get("version"), "version"));
        var parts = Json.map(document.get("parts"), "parts", NAME, (variants, path) -> {
            Json.object(Json.object(variants, path).get("fp32"), path + ".fp32");
            return Json.map(variants, path, VARIANT, Manifest::variant);
        });
        if (parts.isEmpty()) {
            throw new AeonnxException("parts: expected at least one part");
        }
        return new Manifest(Json.string(document.get("model"), "model"), parts);
    }

    private static void requireVersion(long version) {
        if (version != VERSION) {
            String text = version > VERSION
                    ? "version %d is newer than this program, which reads %d: take a newer one"
                    : "version %d is older than this program, which reads %d: export the bundle again";
            throw new AeonnxException(text.formatted(version, VERSION));
        }
    }

    private static Variant variant(JsonElement value, String path) {
        JsonObject variant = Json.object(value, path);
        List<TensorSpec> inputs = tensors(variant.get("inputs"), path + ".inputs");
        List<TensorSpec> outputs = tensors(variant.get("outputs"), path + ".outputs");
        long bytes = Json.size(variant.get("bytes"), path + ".bytes");
        expect(bytes <= Input.MOST, path + ".bytes", "at most " + Input.MOST, variant.get("bytes"));
        Variant read = new Variant(
                file(variant.get("file"), path + ".file"),
                digest(variant.get("sha256"), path + ".sha256"),
                bytes,
                Json.size(variant.get("opset"), path + ".opset"),
                Json.string(variant.get("min_onnxruntime"), path + ".min_onnxruntime"),
                inputs,
                outputs,
                Json.map(variant.get("axes"), path + ".axes", NAME, Manifest::axis),
                goldens(variant.get("golden"), path + ".golden", inputs, outputs),
                Json.map(variant.get("percentiles"), path + ".percentiles", NAME,
                        (names, at) -> Json.map(names, at, ANY, Json::number)),
                variant.has("normal")
                        ? Json.map(variant.get("normal"), path + ".normal", NAME, Normal::read)
                        : Map.of());
        read.require(path);
        return read;
    }

    private static List<TensorSpec> tensors(JsonElement value, String path) {
        List<TensorSpec> specs = new ArrayList<>();
        for (JsonElement item : Json.list(value, path)) {
            specs.add(tensor(item, path + "[" + specs.size() + "]"));
        }
        expect(!specs.isEmpty(), path, "a tensor", value);
        long names = specs.stream().map(TensorSpec::name).distinct().count();
        expect(names == specs.size(), path, "a name of its own for each tensor", value);
        return List.copyOf(specs);
    }

    private static TensorSpec tensor(JsonElement value, String path) {
        JsonObject tensor = Json.object(value, path);
        String name = Json.matching(NAME, "a lower-case name", tensor.get("name"), path + ".name");
        List<Size> shape = shape(tensor.get("shape"), path + ".shape", Manifest::sizeOrAxis);
        Kind kind = Json.oneOf(Kind.values(), tensor.get("kind"), path + ".kind");
        expect(kind.rank == 0 || kind.rank == shape.size(), path + ".shape",
                "a list of " + kind.rank + " for the kind " + kind, tensor.get("shape"));
        DType dtype = Json.oneOf(DType.values(), tensor.get("dtype"), path + ".dtype");
        double[] range = Json.orNull(tensor.get("range"), path + ".range", Manifest::range);
        boolean missing = Json.flag(tensor.get("missing"), path + ".missing");
        if (missing && !dtype.isFloat()) {
            throw new AeonnxException(path + ".missing: expected floats, which have NaN, got " + dtype);
        }
        return new TensorSpec(name, dtype, shape, range, kind, missing);
    }

    private static Axis axis(JsonElement value, String path) {
        JsonObject axis = Json.object(value, path);
        long multiple = Json.size(axis.get("multiple"), path + ".multiple");
        long min = Json.size(axis.get("min"), path + ".min");
        expect(min % multiple == 0, path + ".min", "a multiple of " + multiple, axis.get("min"));
        Long max = Json.orNull(axis.get("max"), path + ".max", Json::size);
        boolean good = max == null || max % multiple == 0 && max >= min;
        String rule = "a multiple of " + multiple + " of at least " + min;
        expect(good, path + ".max", rule, axis.get("max"));
        return new Axis(multiple, min, max,
                Json.orNull(axis.get("margin"), path + ".margin", Json::count));
    }

    private static List<Golden> goldens(
            JsonElement value, String path, List<TensorSpec> inputs, List<TensorSpec> outputs) {
        List<Golden> sets = new ArrayList<>();
        for (JsonElement item : Json.list(value, path)) {
            String at = path + "[" + sets.size() + "]";
            JsonObject set = Json.object(item, at);
            sets.add(new Golden(
                    golden(set.get("inputs"), at + ".inputs", inputs, false),
                    golden(set.get("outputs"), at + ".outputs", outputs, true)));
        }
        expect(!sets.isEmpty(), path, "at least one set of vectors", value);
        return List.copyOf(sets);
    }

    private static Map<String, Stored> golden(
            JsonElement value, String path, List<TensorSpec> specs, boolean compared) {
        Map<String, Stored> golden =
                Json.map(value, path, NAME, (item, at) -> stored(item, at, compared));
        boolean same = specs.stream().allMatch(spec -> golden.containsKey(spec.name()));
        expect(same && golden.size() == specs.size(), path, "an array for each tensor", value);
        return golden;
    }

    private static Stored stored(JsonElement value, String path, boolean compared) {
        JsonObject stored = Json.object(value, path);
        DType dtype = Json.oneOf(DType.values(), stored.get("dtype"), path + ".dtype");
        long[] shape = shape(stored.get("shape"), path + ".shape",
                (item, at, place) -> Size.of(Json.size(item, at)))
                .stream().mapToLong(Size::factor).toArray();
        expect(Tensor.count(shape) <= Input.MOST / dtype.width, path + ".shape",
                "at most " + Input.MOST + " bytes", stored.get("shape"));
        return new Stored(
                file(stored.get("file"), path + ".file"),
                digest(stored.get("sha256"), path + ".sha256"),
                dtype,
                shape,
                compared ? tolerances(stored.get("tolerance"), path + ".tolerance", shape[0]) : null);
    }

    private static double[] tolerances(JsonElement value, String path, long rows) {
        boolean good = value != null && value.isJsonArray() && value.getAsJsonArray().size() == rows;
        expect(good, path, rows + " numbers above 0", value);
        double[] tolerances = new double[(int) rows];
        for (int row = 0; row < rows; row++) {
            JsonElement item = value.getAsJsonArray().get(row);
            String at = path + "[" + row + "]";
            expect(Json.isPositive(item), at, "a number above 0", item);
            tolerances[row] = Json.number(item, at);
        }
        return tolerances;
    }

    private static List<Size> shape(JsonElement value, String path, SizeReader read) {
        List<Size> sizes = new ArrayList<>();
        for (JsonElement item : Json.list(value, path)) {
            sizes.add(read.read(item, path, sizes.size()));
        }
        expect(!sizes.isEmpty(), path, "at least one size", value);
        long values = 1;
        for (Size size : sizes) {
            long number = size.isNumber() ? size.factor() : 1;
            expect(number <= (VALUES - 1) / values, path, "fewer than 2^50 values", value);
            values *= number;
        }
        return List.copyOf(sizes);
    }

    private static Size sizeOrAxis(JsonElement value, String path, int place) {
        if (!Json.isString(value)) {
            return Size.of(Json.size(value, path));
        }
        var found = Size.following(value.getAsString());
        boolean good = found.isPresent() && (!found.get().isRows()
                || place == 0 && value.getAsString().equals(Size.BATCH));
        expect(good, path, "sizes above 0, \"batch\" for the first, or axes such as \"height\" and "
                + "\"height/8\"", value);
        return found.orElseThrow();
    }

    private static double[] range(JsonElement value, String path) {
        List<JsonElement> limits = Json.list(value, path).asList();
        expect(limits.size() == 2, path, "the lowest and the highest value", value);
        return limits.stream().mapToDouble(limit -> Json.number(limit, path)).toArray();
    }

    private static String digest(JsonElement value, String path) {
        return Json.matching(DIGEST, "64 hex digits", value, path);
    }

    private static String file(JsonElement value, String path) {
        String file = Json.string(value, path);
        List<String> names = List.of(file.split("/", -1));
        boolean inside = !file.contains("\\")
                && names.stream().noneMatch(name -> List.of("", ".", "..").contains(name));
        expect(inside, path, "a path inside the bundle", value);
        return file;
    }
}
