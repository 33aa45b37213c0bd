package aeonnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.Test;

final class MainTest {
    private static String said(int code, IntSupplier run) {
        PrintStream before = System.err;
        var said = new ByteArrayOutputStream();
        System.setErr(new PrintStream(said, true, StandardCharsets.UTF_8));
        try {
            assertEquals(code, Main.exitCode(run));
        } finally {
            System.setErr(before);
        }
        return said.toString(StandardCharsets.UTF_8);
    }

    private static IntSupplier failing(Throwable thrown) {
        return () -> {
            if (thrown instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) thrown;
        };
    }

    @Test
    void whatGoesWrongIsALineAndACode() {
        String end = System.lineSeparator();
        assertEquals("", said(3, () -> 3));
        assertEquals("Error: no" + end, said(4, failing(new AeonnxException(4, "no"))));
        String usage = said(2, failing(new AeonnxException(2, "no")));
        assertTrue(usage.startsWith("Error: no" + end + "usage: "), usage);
        assertEquals("Error: it does not fit into memory: heap" + end,
                said(1, failing(new OutOfMemoryError("heap"))));
        assertEquals("Error: this is a bug: java.lang.IllegalStateException: two\\x0alines" + end,
                said(1, failing(new IllegalStateException("two\nlines"))));
    }
}
