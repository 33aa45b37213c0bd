package aeonnx;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * Values of a manifest, one kind each: they are returned, or an error says the field's path, what was
 * expected and what came.
 */
final class Json {
    /** The largest integer that every language has. */
    static final long LARGEST = (1L << 53) - 1;

    private static final Pattern WHOLE = Pattern.compile("0|[1-9][0-9]{0,15}");

    private Json() {}

    /**
     * What `read` makes of a document.
     *
     * @param where its name in messages
     * @throws AeonnxException it is not JSON, has more behind its end, or `read` refuses it
     */
    static <T> T document(byte[] text, String where, Function<JsonElement, T> read) {
        try {
            String json = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString();
            JsonReader reader = new JsonReader(new StringReader(json));
            reader.setStrictness(Strictness.STRICT);
            JsonElement document = JsonParser.parseReader(reader);
            T found = read.apply(document);
            requireFinite(document); // what is not read as well
            if (reader.peek() != JsonToken.END_DOCUMENT) {
                throw new AeonnxException("there is more behind its end");
            }
            return found;
        } catch (CharacterCodingException error) {
            throw new AeonnxException(where + ": it is not UTF-8");
        } catch (IOException | JsonParseException error) {
            // Of what gson says, the place: the rest is about its own settings.
            String said = AeonnxException.reason(error).lines().findFirst().orElse("");
            int place = said.indexOf(" at line ");
            throw new AeonnxException(where + ": not JSON" + (place < 0 ? "" : said.substring(place)));
        } catch (RuntimeException error) {
            throw new AeonnxException(where + ": " + AeonnxException.reason(error));
        }
    }

    static JsonObject object(JsonElement value, String path) {
        expect(value != null && value.isJsonObject(), path, "an object", value);
        return value.getAsJsonObject();
    }

    static JsonArray list(JsonElement value, String path) {
        expect(value != null && value.isJsonArray(), path, "a list", value);
        return value.getAsJsonArray();
    }

    /** What an object holds, in the order of names. */
    static <T> Map<String, T> map(
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

    /** A whole number above 0. */
    static long size(JsonElement value, String path) {
        return whole(value, path, 1, "above 0");
    }

    /** A whole number from 0 on. */
    static long count(JsonElement value, String path) {
        return whole(value, path, 0, "from 0 on");
    }

    /** What `read` makes of a value; null of null. */
    static <T> T orNull(JsonElement value, String path, BiFunction<JsonElement, String, T> read) {
        return value != null && value.isJsonNull() ? null : read.apply(value, path);
    }

    static double number(JsonElement value, String path) {
        double number = isNumber(value) ? Double.parseDouble(value.getAsString()) : Double.NaN;
        expect(Double.isFinite(number), path, "a finite number", value);
        return number;
    }

    /** True or false; false where there is no such field. */
    static boolean flag(JsonElement value, String path) {
        boolean good = value == null
                || value.isJsonPrimitive() && value.getAsJsonPrimitive().isBoolean();
        expect(good, path, "true or false", value);
        return value != null && value.getAsBoolean();
    }

    static boolean isPositive(JsonElement value) {
        double number = isNumber(value) ? Double.parseDouble(value.getAsString()) : Double.NaN;
        return number > 0 && Double.isFinite(number);
    }

    static String string(JsonElement value, String path) {
        expect(isString(value), path, "a string", value);
        String text = value.getAsString();
        boolean seen = text.codePoints().allMatch(code -> !Character.isISOControl(code)
                && Character.getType(code) != Character.SURROGATE); // one without its other half
        expect(seen, path, "a text without control characters", value);
        return text;
    }

    static String matching(Pattern good, String what, JsonElement value, String path) {
        String text = string(value, path);
        expect(good.matcher(text).matches(), path, what, value);
        return text;
    }

    /** One of some values, by its text. */
    static <T> T oneOf(T[] values, JsonElement value, String path) {
        Map<String, T> known = new LinkedHashMap<>();
        List.of(values).forEach(item -> known.put(item.toString(), item));
        T found = known.get(string(value, path));
        expect(found != null, path, "one of " + String.join(", ", known.keySet()), value);
        return found;
    }

    static boolean isString(JsonElement value) {
        return value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isString();
    }

    static void expect(boolean good, String path, String expected, JsonElement got) {
        if (!good) {
            throw new AeonnxException(path + ": expected " + expected + ", got " + shown(got));
        }
    }

    private static long whole(JsonElement value, String path, long least, String what) {
        boolean whole = isNumber(value) && WHOLE.matcher(value.getAsString()).matches();
        long number = whole ? Long.parseLong(value.getAsString()) : -1;
        boolean good = number >= least && number <= LARGEST;
        expect(good, path, "a whole number " + what + ", of at most 53 bits", value);
        return number;
    }

    private static boolean isNumber(JsonElement value) {
        return value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber();
    }

    // Numbers such as 1e999, wherever they are. The field's reader checks larger integers.
    private static void requireFinite(JsonElement value) {
        if (value.isJsonArray()) {
            value.getAsJsonArray().forEach(Json::requireFinite);
        } else if (value.isJsonObject()) {
            value.getAsJsonObject().asMap().values().forEach(Json::requireFinite);
        } else if (isNumber(value) && !value.getAsString().matches("-?[0-9]+")) {
            boolean finite = Double.isFinite(Double.parseDouble(value.getAsString()));
            if (!finite) {
                throw new AeonnxException("expected finite numbers, got " + cut(value.getAsString()));
            }
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
