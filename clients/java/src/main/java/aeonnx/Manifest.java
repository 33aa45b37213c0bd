package aeonnx;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What a bundle's manifest.json says, checked.
 *
 * @param model name of the model
 * @param inputShape [C, H, W] of an image
 * @param parts graphs by part, then by variant
 */
public record Manifest(
        String model, long[] inputShape, Map<String, Map<String, Variant>> parts) {

    /** In a shape: any number of rows. */
    public static final long BATCH = -1;

    private static final long VERSION = 1;
    private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_]*");
    private static final Pattern VARIANT = Pattern.compile("[a-z][a-z0-9-]*");
    private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{64}");
    private static final Pattern SIZE = Pattern.compile("[1-9][0-9]{0,15}");
    private static final long LARGEST = (1L << 53) - 1; // that every language has

    /** A tensor that a graph takes or gives, and its lowest and highest value; null if any may come. */
    public record TensorSpec(String name, DType dtype, long[] shape, double[] range) {
        /** The shape without its rows. */
        long[] row() {
            return Arrays.copyOfRange(shape, Math.min(1, shape.length), shape.length);
        }

        @Override
        public String toString() {
            return describe(name, dtype.text, shape);
        }
    }

    /**
     * An array in a file, and for each row of an output the largest |difference| that counts as equal;
     * null for an input.
     */
    public record Stored(
            String file, String sha256, DType dtype, long[] shape, double[] tolerance) {}

    /** One graph: a part in one precision. */
    public record Variant(
            String file,
            String sha256,
            long bytes,
            long opset,
            String minOnnxruntime,
            List<TensorSpec> inputs,
            List<TensorSpec> outputs,
            Map<String, Stored> goldenInputs,
            Map<String, Stored> goldenOutputs) {}

    /**
     * Read a manifest: what is used is checked, the rest is skipped.
     *
     * @param where its name in messages
     * @throws AeonnxException names the field, what was expected and what came
     */
    public static Manifest parse(byte[] text, String where) {
        try {
            String json = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString();
            JsonReader reader = new JsonReader(new StringReader(json));
            reader.setStrictness(Strictness.STRICT);
            JsonElement document = JsonParser.parseReader(reader);
            Manifest manifest = manifest(document);
            requireFinite(document); // what is not read as well
            if (reader.peek() != com.google.gson.stream.JsonToken.END_DOCUMENT) {
                throw new AeonnxException("there is more behind its end");
            }
            return manifest;
        } catch (CharacterCodingException error) {
            throw new AeonnxException(where + ": it is not UTF-8");
        } catch (java.io.IOException | JsonParseException error) {
            // Of what gson says, the place: the rest is about its own settings.
            String said = AeonnxException.reason(error).lines().findFirst().orElse("");
            int place = said.indexOf(" at line ");
            throw new AeonnxException(where + ": not JSON" + (place < 0 ? "" : said.substring(place)));
        } catch (RuntimeException error) {
            throw new AeonnxException(where + ": " + AeonnxException.reason(error));
        }
    }

    /** "z float32 [batch, 20]" */
    static String describe(String name, String dtype, long[] shape) {
        return name + " " + dtype + " " + inWords(shape);
    }

    /** "[batch, 20]" */
    static String inWords(long[] shape) {
        return Arrays.stream(shape)
                .mapToObj(size -> size == BATCH ? "batch" : Long.toString(size))
                .collect(Collectors.joining(", ", "[", "]"));
    }

    private static Manifest manifest(JsonElement value) {
        JsonObject document = object(value, "the manifest");
        String format = string(document.get("format"), "format");
        expect(format.equals("aeonnx-bundle"), "format", "\"aeonnx-bundle\"", document.get("format"));
        long version = size(document.get("version"), "version");
        if (version > VERSION) {
            String text = "version %d is newer than this program, which reads %d: take a newer one";
            throw new AeonnxException(text.formatted(version, VERSION));
        }
        long[] shape = shape(document.get("input_shape"), "input_shape", DType.UINT8, false);
        expect(shape.length == 3, "input_shape", "[C, H, W]", document.get("input_shape"));
        var parts = map(document.get("parts"), "parts", NAME, (variants, path) -> {
            object(object(variants, path).get("fp32"), path + ".fp32");
            return map(variants, path, VARIANT, Manifest::variant);
        });
        if (parts.isEmpty()) {
            throw new AeonnxException("parts: expected at least one part");
        }
        return new Manifest(string(document.get("model"), "model"), shape, parts);
    }

    private static Variant variant(JsonElement value, String path) {
        JsonObject variant = object(value, path);
        List<TensorSpec> inputs = tensors(variant.get("inputs"), path + ".inputs");
        List<TensorSpec> outputs = tensors(variant.get("outputs"), path + ".outputs");
        JsonObject golden = object(variant.get("golden"), path + ".golden");
        long bytes = size(variant.get("bytes"), path + ".bytes");
        expect(bytes <= Input.MOST, path + ".bytes", "at most " + Input.MOST, variant.get("bytes"));
        return new Variant(
                file(variant.get("file"), path + ".file"),
                digest(variant.get("sha256"), path + ".sha256"),
                bytes,
                size(variant.get("opset"), path + ".opset"),
                string(variant.get("min_onnxruntime"), path + ".min_onnxruntime"),
                inputs,
                outputs,
                golden(golden.get("inputs"), path + ".golden.inputs", inputs, false),
                golden(golden.get("outputs"), path + ".golden.outputs", outputs, true));
    }

    private static List<TensorSpec> tensors(JsonElement value, String path) {
        expect(value != null && value.isJsonArray(), path, "a list", value);
        List<TensorSpec> specs = new ArrayList<>();
        for (JsonElement item : value.getAsJsonArray()) {
            String at = path + "[" + specs.size() + "]";
            JsonObject tensor = object(item, at);
            DType dtype = dtype(tensor.get("dtype"), at + ".dtype");
            String name = matching(NAME, "a lower-case name", tensor.get("name"), at + ".name");
            specs.add(new TensorSpec(
                    name,
                    dtype,
                    shape(tensor.get("shape"), at + ".shape", dtype, true),
                    range(tensor.get("range"), at + ".range")));
        }
        expect(!specs.isEmpty(), path, "a tensor", value);
        return List.copyOf(specs);
    }

    private static Map<String, Stored> golden(
            JsonElement value, String path, List<TensorSpec> specs, boolean compared) {
        Map<String, Stored> golden =
                map(value, path, NAME, (item, at) -> stored(item, at, compared));
        boolean same = specs.stream().allMatch(spec -> golden.containsKey(spec.name()));
        expect(same && golden.size() == specs.size(), path, "an array for each tensor", value);
        return golden;
    }

    private static Stored stored(JsonElement value, String path, boolean compared) {
        JsonObject stored = object(value, path);
        DType dtype = dtype(stored.get("dtype"), path + ".dtype");
        long[] shape = shape(stored.get("shape"), path + ".shape", dtype, false);
        expect(shape.length > 0 || !compared, path + ".shape", "at least one size", stored.get("shape"));
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
            tolerances[row] = isNumber(item) ? Double.parseDouble(item.getAsString()) : Double.NaN;
            if (!(tolerances[row] > 0 && Double.isFinite(tolerances[row]))) {
                expect(false, path + "[" + row + "]", "a number above 0", item);
            }
        }
        return tolerances;
    }

    // Below: one kind of value each. They return it, or throw.

    private static JsonObject object(JsonElement value, String path) {
        expect(value != null && value.isJsonObject(), path, "an object", value);
        return value.getAsJsonObject();
    }

    private static <T> Map<String, T> map(
            JsonElement value, String path, Pattern names, BiFunction<JsonElement, String, T> read) {
        Map<String, T> found = new TreeMap<>();
        for (var entry : object(value, path).entrySet()) {
            String name = entry.getKey();
            if (!names.matcher(name).matches()) {
                throw new AeonnxException(path + ": expected a lower-case name, got " + cut(name));
            }
            found.put(name, read.apply(entry.getValue(), path + "." + name));
        }
        return found;
    }

    private static long[] shape(JsonElement value, String path, DType dtype, boolean withBatch) {
        expect(value != null && value.isJsonArray(), path, "a list", value);
        List<Long> sizes = new ArrayList<>();
        for (JsonElement item : value.getAsJsonArray()) {
            boolean any = withBatch && isString(item) && item.getAsString().equals("batch");
            sizes.add(any ? BATCH : size(item, path));
        }
        try {
            sizes.stream().map(size -> Math.max(size, 1)).reduce((long) dtype.width, Math::multiplyExact);
        } catch (ArithmeticException error) {
            expect(false, path, "a size in bytes of at most 63 bits", value);
        }
        return sizes.stream().mapToLong(Long::longValue).toArray();
    }

    private static long size(JsonElement value, String path) {
        boolean whole = isNumber(value) && SIZE.matcher(value.getAsString()).matches();
        long size = whole ? Long.parseLong(value.getAsString()) : 0;
        expect(size > 0 && size <= LARGEST, path, "a whole number above 0, of at most 53 bits", value);
        return size;
    }

    private static double number(JsonElement value, String path) {
        double number = isNumber(value) ? Double.parseDouble(value.getAsString()) : Double.NaN;
        expect(Double.isFinite(number), path, "a finite number", value);
        return number;
    }

    // Numbers such as 1e999, wherever they are. The field's reader checks larger integers.
    private static void requireFinite(JsonElement value) {
        if (value.isJsonArray()) {
            value.getAsJsonArray().forEach(Manifest::requireFinite);
        } else if (value.isJsonObject()) {
            value.getAsJsonObject().asMap().values().forEach(Manifest::requireFinite);
        } else if (isNumber(value) && !value.getAsString().matches("-?[0-9]+")) {
            boolean finite = Double.isFinite(Double.parseDouble(value.getAsString()));
            if (!finite) {
                throw new AeonnxException("expected finite numbers, got " + cut(value.getAsString()));
            }
        }
    }

    private static double[] range(JsonElement value, String path) {
        if (value == null || value.isJsonNull()) {
            return null;
        }
        expect(value.isJsonArray() && value.getAsJsonArray().size() == 2, path,
                "the lowest and the highest value", value);
        List<JsonElement> limits = value.getAsJsonArray().asList();
        return limits.stream().mapToDouble(limit -> number(limit, path)).toArray();
    }

    private static String string(JsonElement value, String path) {
        expect(isString(value), path, "a string", value);
        String text = value.getAsString();
        boolean seen = text.codePoints().allMatch(code -> !Character.isISOControl(code)
                && Character.getType(code) != Character.SURROGATE); // one without its other half
        expect(seen, path, "a text without control characters", value);
        return text;
    }

    private static String matching(Pattern good, String what, JsonElement value, String path) {
        String text = string(value, path);
        expect(good.matcher(text).matches(), path, what, value);
        return text;
    }

    private static String digest(JsonElement value, String path) {
        return matching(DIGEST, "64 hex digits", value, path);
    }

    private static String file(JsonElement value, String path) {
        String file = string(value, path);
        List<String> names = List.of(file.split("/", -1));
        boolean inside = !file.contains("\\")
                && names.stream().noneMatch(name -> List.of("", ".", "..").contains(name));
        expect(inside, path, "a path inside the bundle", value);
        return file;
    }

    private static DType dtype(JsonElement value, String path) {
        var dtype = DType.named(string(value, path));
        expect(dtype.isPresent(), path, "float32, uint8, int64, float16 or float64", value);
        return dtype.orElseThrow();
    }

    private static boolean isString(JsonElement value) {
        return value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isString();
    }

    private static boolean isNumber(JsonElement value) {
        return value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber();
    }

    private static void expect(boolean good, String path, String expected, JsonElement got) {
        if (!good) {
            throw new AeonnxException(path + ": expected " + expected + ", got " + shown(got));
        }
    }

    // Lists and objects are not quoted: they can be as long as the file.
    private static String shown(JsonElement value) {
        if (value == null) {
            return "nothing";
        }
        if (value.isJsonArray()) {
            return "a list of " + value.getAsJsonArray().size();
        }
        if (value.isJsonObject()) {
            return "an object";
        }
        return cut(value.toString());
    }

    private static String cut(String text) {
        return text.length() > 80 ? text.substring(0, 80) + "..." : text;
    }
}
