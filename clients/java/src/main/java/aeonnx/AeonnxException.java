package aeonnx;

import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** Every failure of this library: one line to show, and the exit code. */
public final class AeonnxException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** 1 failed, 2 usage, 4 the machine lacks something. */
    public final int exitCode;

    public AeonnxException(int exitCode, String text) {
        super(Names.printable(text.strip()));
        this.exitCode = exitCode;
    }

    AeonnxException(String text) {
        this(1, text);
    }

    /** The message of what was thrown, or its name. */
    static String reason(Throwable thrown) {
        if (thrown instanceof NoSuchFileException) {
            return "there is no such file or folder";
        }
        if (thrown instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (thrown instanceof FileSystemException error && error.getReason() != null) {
            return error.getReason(); // its message begins with the name, as the locale has it
        }
        return thrown.getMessage() == null ? thrown.getClass().getSimpleName() : thrown.getMessage();
    }
}
