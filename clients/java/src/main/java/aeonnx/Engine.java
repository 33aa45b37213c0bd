package aeonnx;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import java.util.Arrays;

/** The library of onnxruntime, and its release. */
public final class Engine {
    private static final int[] OLDEST = {1, 24, 1};

    private Engine() {}

    /** The release of onnxruntime, such as "1.29.0". */
    public static String version() {
        return environment().getVersion();
    }

    /** Refuse a library that is older than a graph needs. */
    static void requireRelease(Variant variant) {
        String version = version();
        if (Arrays.compare(release(version), release(variant.minOnnxruntime())) < 0) {
            throw new AeonnxException(4, variant.file() + " needs onnxruntime "
                    + variant.minOnnxruntime() + " or newer (opset " + variant.opset()
                    + "), this is " + version + ": put a newer onnxruntime jar into lib/");
        }
    }

    // "1.31.1" -> [1, 31, 1]; what is not there is 0
    private static int[] release(String version) {
        return Arrays.stream((version + ".0.0").split("\\."))
                .limit(3)
                .mapToInt(number -> number.matches("[0-9]{1,9}") ? Integer.parseInt(number) : 0)
                .toArray();
    }

    /**
     * The library, loaded at first use.
     *
     * @throws AeonnxException it is missing, or too old for any graph
     */
    static OrtEnvironment environment() {
        try {
            var environment = OrtEnvironment.getEnvironment(
                    OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "aeonnx");
            String version = environment.getVersion();
            if (Arrays.compare(release(version), OLDEST) < 0) {
                throw new AeonnxException(4, "this program needs onnxruntime 1.24.1 or newer, since "
                        + "older ones read files outside of a bundle, and this is " + version
                        + ": put a newer onnxruntime jar into lib/");
            }
            environment.setTelemetry(false); // a Java program cannot set its own variables
            return environment;
        } catch (LinkageError error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            throw new AeonnxException(4, "the library of onnxruntime cannot be loaded: "
                    + AeonnxException.reason(cause)
                    + ". Is lib/ beside aeonnx.jar, is the temporary folder writable, is "
                    + "onnxruntime.native.path right?");
        } catch (OrtException error) {
            throw new AeonnxException(4, "onnxruntime does not start: " + error.getMessage());
        }
    }
}
