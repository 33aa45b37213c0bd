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
}
