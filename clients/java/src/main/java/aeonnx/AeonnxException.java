package aeonnx;

/** Every failure of this library: a line for people, and the code to leave a program with. */
public final class AeonnxException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** 1 failed, 2 usage, 4 the machine lacks something. */
    public final int exitCode;

    public AeonnxException(int exitCode, String text) {
        super(oneLine(text));
        this.exitCode = exitCode;
    }

    AeonnxException(String text) {
        this(1, text);
    }

    /** The message of what was thrown, or its name. */
    static String reason(Throwable thrown) {
        return thrown.getMessage() == null ? thrown.getClass().getSimpleName() : thrown.getMessage();
    }

    // Engines and parsers quote what they were given.
    private static String oneLine(String text) {
        return text.replaceAll("[\\s\\p{Cntrl}]+", " ").strip();
    }
}
