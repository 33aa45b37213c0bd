package aeonnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.function.Executable;

/** Errors by their text. */
final class Refused {
    private Refused() {}

    static void as(String text, Executable done) {
        assertEquals(text, assertThrows(AeonnxException.class, done).getMessage());
    }

    /** What is wrong with arguments of the command. */
    static void asUsage(String text, Executable done) {
        withCode(2, text, done);
    }

    /** What is wrong with files. */
    static void asFailure(String text, Executable done) {
        withCode(1, text, done);
    }

    private static void withCode(int code, String text, Executable done) {
        as(text, done);
        assertEquals(code, assertThrows(AeonnxException.class, done).exitCode);
    }
}
